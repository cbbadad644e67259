-- Which products earned most in the last 28 days, and how does that compare with the 28 days before?
-- $limit: how many to show; default 20
with newest as (
    select max(as_of) as as_of from gold.product_features
)
select
    now.product_id,
    now.category,
    now.brand,
    now.revenue as revenue_28d,
    now.units as units_28d,
    coalesce(earlier.revenue, 0) as revenue_before,
    round(now.revenue::double / nullif(earlier.revenue::double, 0) - 1, 3) as change
from newest
join gold.product_features as now using (as_of)
left join gold.product_features as earlier
    on earlier.product_id = now.product_id and earlier.as_of = now.as_of - interval 28 days
where now.revenue > 0
order by revenue_28d desc, now.product_id
limit $limit::int
