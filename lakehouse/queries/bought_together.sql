-- Which products do customers buy on the same day, more often than chance would have it?
-- $days: pairs bought together at least so often, a customer's day counting once; default 5
-- $limit: how many pairs to show; default 20
with bought as (
    select customer_id, day, product_id from gold.interactions where purchase_count > 0
),
totals as (
    select product_id, count(*) as days from bought group by product_id
),
pairs as (
    select one.product_id, other.product_id as other_product_id, count(*) as days_together
    from bought as one
    join bought as other
        on other.customer_id = one.customer_id and other.day = one.day and other.product_id > one.product_id
    group by all
    having count(*) >= $days
)
select
    pairs.*,
    round(days_together * (select count(distinct (customer_id, day)) from bought) / (one.days * other.days), 2) as lift
from pairs
join totals as one on one.product_id = pairs.product_id
join totals as other on other.product_id = other_product_id
order by lift desc, days_together desc, pairs.product_id, other_product_id
limit $limit::int
