-- Training set of segmentation: who had bought by each moment, and what did they spend in the days after it, net of refunds?
-- $moments: the moments to look at; default (select [max(as_of) - interval 180 days] from gold.customer_features)
-- $days: length of the time after it; default 180
with moments as (
    select unnest($moments::timestamp[]) as as_of
),
spent as (
    select as_of, customer_id, sum(gross_revenue) as spent
    from silver.transactions
    join moments on timestamp >= as_of and timestamp < as_of + to_days($days::int)
    where timestamp >= list_min($moments::timestamp[])
    group by as_of, customer_id
)
select features.*, coalesce(spent::double, 0) as label
from gold.customer_features as features
left join spent using (as_of, customer_id)
where tx_count > 0 and as_of in $moments
order by as_of, customer_id
