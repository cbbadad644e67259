-- How much of all spend comes from the best tenth of the buyers, the next tenth, and so on?
with buyers as (
    select monetary, ntile(10) over (order by monetary desc, customer_id) as decile
    from gold.customer_features
    where as_of = (select max(as_of) from gold.customer_features) and tx_count > 0
)
select
    decile,
    count(*) as customers,
    sum(monetary) as spend,
    round(sum(monetary)::double / sum(sum(monetary)) over ()::double, 4) as share,
    round((sum(sum(monetary)) over (order by decile))::double / (sum(sum(monetary)) over ())::double, 4) as share_so_far
from buyers
group by decile
order by decile
