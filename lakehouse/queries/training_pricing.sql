-- Training set of pricing: how many units of each product were sold in each week, in how many orders, at which mean price, and how was it promoted?
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
),
-- a promotion counts in the week that has most of its seven days
promoted as (
    select
        product_id,
        date_trunc('week', week_start::timestamp + to_days(3 - $first_day::int)) + to_days($first_day::int) as week,
        max(display) as display,
        max(mailer) as mailer
    from silver.promotions
    group by all
),
told as (
    select min(week) as first_week, max(week) as last_week
    from promoted
)
-- no promotion is 0 in the weeks of which promotions are told, and unknown, null, in the others
select
    product_id,
    week,
    units,
    orders,
    revenue,
    category,
    ln(units) as log_units,
    ln(revenue / units) as log_price,
    case when week between first_week and last_week then coalesce(display, 0) end as display,
    case when week between first_week and last_week then coalesce(mailer, 0) end as mailer,
    sum(orders) over (partition by week) - orders as other_orders
from weeks
cross join told
left join promoted using (product_id, week)
left join silver.products using (product_id)
order by product_id, week
