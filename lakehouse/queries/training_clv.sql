-- Training set of clv: what did the customers as of each cutoff spend in the days after it, per 180 days and net of refunds?
-- $cutoffs: the moments to label, whose windows should have elapsed; default (select [max(as_of) - interval 180 days] from gold.customer_features)
-- $days: length of the window that is labelled; default 180
with cutoffs as (
    select unnest($cutoffs::timestamp[]) as as_of
),
spent as (
    select
        as_of,
        customer_id,
        sum(gross_revenue) as spent,
        sum(gross_revenue) filter (where timestamp < as_of + to_days($days::int) / 2) as spent_half
    from silver.transactions
    join cutoffs on timestamp >= as_of and timestamp < as_of + to_days($days::int)
    where timestamp >= list_min($cutoffs::timestamp[])
    group by as_of, customer_id
)
select
    features.*,
    coalesce(spent::double, 0) * (180 / $days) as label,
    coalesce(spent_half::double, 0) * (360 / $days) as label_half  -- the window's first half, per 180 days too
from gold.customer_features as features
left join spent using (as_of, customer_id)
where as_of in $cutoffs
order by as_of, customer_id
