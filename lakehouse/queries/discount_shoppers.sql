-- Who buys at a discount, and what are those customers worth?
select
    case
        when avg_discount = 0 then '1: none'
        when avg_discount < 0.05 then '2: under 5 %'
        when avg_discount < 0.10 then '3: 5 to 10 %'
        else '4: 10 % and more'
    end as mean_discount,
    count(*) as customers,
    round(avg(monetary), 2) as mean_spend,
    round(avg(tx_count), 2) as mean_orders,
    round(avg(refund_share), 4) as mean_refund_share
from gold.customer_features
where as_of = (select max(as_of) from gold.customer_features) and tx_count > 0 and avg_discount is not null
group by all
order by mean_discount
