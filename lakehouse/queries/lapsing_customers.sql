-- Which good customers are silent for much longer than they usually are?
-- $times: how many of their usual gaps the silence has lasted; default 3
-- $orders: at least so many orders, so that there is a usual gap; default 3
-- $limit: how many to show; default 20
select
    customer_id,
    round(recency_days) as days_since_order,
    round(mean_gap_days, 1) as usual_gap_days,
    tx_count as orders,
    monetary as spend_ever
from gold.customer_features
where as_of = (select max(as_of) from gold.customer_features)
    and tx_count >= $orders
    and recency_days > $times * mean_gap_days
order by monetary desc, customer_id
limit $limit::int
