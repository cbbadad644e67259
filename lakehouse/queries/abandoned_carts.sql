-- Which products are often put into the cart and seldom bought?
-- $carts: products put into the cart at least so often; default 10
-- $limit: how many to show; default 20
select
    product_id,
    category,
    sum(add_to_cart_count)::bigint as carts,
    sum(purchase_count)::bigint as purchases,
    round(sum(purchase_count) / sum(add_to_cart_count), 3) as purchases_per_cart
from gold.interactions
left join silver.products using (product_id)
group by product_id, category
having sum(add_to_cart_count) >= $carts
order by purchases_per_cart, carts desc, product_id
limit $limit::int
