-- Which products did nobody buy for a long time?
-- $days: for how long; default 60
select
    product_id,
    category,
    brand,
    round(last_sold_days) as days_since_sale,
    round(launch_days) as days_since_launch,
    units_total,
    base_price
from gold.product_features
where as_of = (select max(as_of) from gold.product_features)
    and coalesce(last_sold_days, launch_days) > $days
order by coalesce(last_sold_days, launch_days) desc, product_id
