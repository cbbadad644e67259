-- Training set of recommender: what did the customers buy in the days after the cutoff, and what is their history by then?
-- $cutoff: where the history ends, a midnight; default (select max(timestamp)::date - 27 from silver.transactions)
-- $days: length of the time after it; default 28
with known as (
    select
        customer_id,
        product_id,
        sum(purchase_count * pow(0.5, epoch($cutoff::timestamp - last_at) / 86400 / 60)) as recency_weight,
        sum(view_count)::bigint as view_count,
        sum(add_to_cart_count)::bigint as add_to_cart_count
    from gold.interactions
    where month <= $cutoff::date and last_at < $cutoff::timestamp
    group by customer_id, product_id
),
bought as (
    select customer_id, list(distinct product_id order by product_id) as bought
    from silver.transactions
    where timestamp >= $cutoff::timestamp and timestamp < $cutoff::timestamp + to_days($days::int)
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
