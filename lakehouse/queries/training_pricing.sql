-- Training set of pricing: how many units of each product were sold in each week, and at which mean price?
with weeks as (
    select
        product_id,
        date_trunc('week', timestamp) as week,
        sum(quantity)::bigint as units,
        sum(gross_revenue)::double as revenue
    from silver.transactions
    where coalesce(refund_flag, 0) = 0 and gross_revenue > 0 and product_id is not null
    group by all
)
select product_id, week, units, revenue, category, ln(units) as log_units, ln(revenue / units) as log_price
from weeks
left join silver.products using (product_id)
order by product_id, week
