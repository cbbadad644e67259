-- Who are our best customers now, by what they spent in the last 180 days?
-- $limit: how many to show; default 20
select customer_id, spend_180d, tx_count_180d, round(recency_days) as days_since_order, monetary as spend_ever, country
from gold.customer_features
where as_of = (select max(as_of) from gold.customer_features) and spend_180d > 0
order by spend_180d desc, customer_id
limit $limit::int
