-- What do products cost in each category, and how much discount is given?
select
    category,
    count(*) as products,
    round(min(avg_price), 2) as cheapest,
    round(median(avg_price), 2) as median_price,
    round(max(avg_price), 2) as dearest,
    round(avg(avg_discount), 3) as mean_discount,
    sum(revenue) as revenue_28d
from gold.product_features
where as_of = (select max(as_of) from gold.product_features)
group by category
order by revenue_28d desc, category
