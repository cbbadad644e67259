-- How many buyers came back for a second order, a third, and so on?
with buyers as (
    select tx_count
    from gold.customer_features
    where as_of = (select max(as_of) from gold.customer_features) and tx_count > 0
),
steps as (
    select unnest(range(1, 11)) as orders
)
select
    orders,
    count(*) filter (tx_count >= orders) as customers,
    round(count(*) filter (tx_count >= orders) / count(*), 4) as share_of_buyers,
    round(count(*) filter (tx_count > orders) / nullif(count(*) filter (tx_count >= orders), 0), 4) as came_again
from steps
cross join buyers
group by orders
order by orders
