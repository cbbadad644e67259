-- Do customers of a higher loyalty tier spend more, come more often, return less?
select
    coalesce(['Bronze', 'Silver', 'Gold', 'Platinum'][loyalty_level + 1], 'unknown') as loyalty_tier,
    count(*) as customers,
    round(avg(spend_180d), 2) as mean_spend_180d,
    round(avg(tx_count_180d), 2) as mean_orders_180d,
    round(avg(refund_share), 4) as mean_refund_share,
    round(avg(avg_discount), 3) as mean_discount
from gold.customer_features
where as_of = (select max(as_of) from gold.customer_features)
group by loyalty_level
order by loyalty_level nulls last
