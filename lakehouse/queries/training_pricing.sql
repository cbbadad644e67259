-- Training set of pricing: how many units of each product were sold in each week, in how many orders, and at which mean price?
-- $first_day: on which day weeks begin, in days after Monday; default 0
with orders as (
    select
        product_id,
        date_trunc('week', timestamp - to_days($first_day::int)) + to_days($first_day::int) as week,
        sum(quantity) as units,
        sum(gross_revenue) as revenue
    from silver.transactions
    where coalesce(refund_flag, 0) = 0 and gross_revenue > 0 and product_id is not null
    group by product_id, customer_id, timestamp
),
weeks as (
    select product_id, week, sum(units)::bigint as units, count(*) as orders, sum(revenue)::double as revenue
    from orders
    group by all
)
select
    product_id,
    week,
    units,
    orders,
    revenue,
    category,
    ln(units) as log_units,
    ln(revenue / units) as log_price,
    sum(orders) over (partition by week) - orders as other_orders
from weeks
left join silver.products using (product_id)
order by product_id, week
