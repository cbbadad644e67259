-- Training set of recommender: what did the customers buy in the days after the cutoff, and what is their history by then?
-- $cutoff: an as_of of gold.interactions; default (select min(as_of) from gold.interactions)
-- $days: length of the time after it; default 28
with known as (
    select * from gold.interactions where as_of = $cutoff
),
bought as (
    select customer_id, list(distinct product_id order by product_id) as bought
    from silver.transactions
    where timestamp >= $cutoff and timestamp < $cutoff::timestamp + to_days($days::int)
        and coalesce(refund_flag, 0) = 0
        and product_id in (select product_id from known)
    group by customer_id
),
histories as (
    select
        customer_id,
        list(product_id order by product_id) as history_product_ids,
        list(recency_weight order by product_id) as history_weights,
        list(view_count order by product_id) as history_view_counts,
        list(add_to_cart_count order by product_id) as history_add_to_cart_counts
    from known
    group by customer_id
)
select
    customer_id,
    bought,
    coalesce(history_product_ids, []) as history_product_ids,
    coalesce(history_weights, []) as history_weights,
    coalesce(history_view_counts, []) as history_view_counts,
    coalesce(history_add_to_cart_counts, []) as history_add_to_cart_counts
from bought
left join histories using (customer_id)
order by customer_id
