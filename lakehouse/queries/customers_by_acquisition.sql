-- Which ways of winning customers bring those who buy, and who spend?
select
    coalesce(acquisition_channel, 'unknown') as acquisition_channel,
    count(*) as customers,
    count(*) filter (tx_count > 0) as buyers,
    round(count(*) filter (tx_count > 0) / count(*), 3) as share_of_buyers,
    round(avg(monetary), 2) as mean_spend,
    round(avg(tx_count), 2) as mean_orders
from gold.customer_features
where as_of = (select max(as_of) from gold.customer_features)
group by all
order by mean_spend desc
