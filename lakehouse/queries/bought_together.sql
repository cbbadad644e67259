-- Which products do the same customers buy, more often than chance would have it?
-- $buyers: pairs with at least so many common buyers; default 5
-- $limit: how many pairs to show; default 20
with bought as (
    select distinct customer_id, product_id from gold.interactions where purchase_count > 0
),
totals as (
    select product_id, count(*) as buyers from bought group by product_id
),
pairs as (
    select one.product_id, other.product_id as other_product_id, count(*) as common_buyers
    from bought as one
    join bought as other on other.customer_id = one.customer_id and other.product_id > one.product_id
    group by all
    having count(*) >= $buyers
)
select
    pairs.*,
    round(common_buyers * (select count(distinct customer_id) from bought) / (one.buyers * other.buyers), 2) as lift
from pairs
join totals as one on one.product_id = pairs.product_id
join totals as other on other.product_id = other_product_id
order by lift desc, common_buyers desc, pairs.product_id, other_product_id
limit $limit::int
