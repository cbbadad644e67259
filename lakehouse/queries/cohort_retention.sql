-- Of the customers who first bought in a month, how many still bought 1, 3, 6 and 12 months later?
-- The first of each month is an as_of; a customer is active then with an order in the 30 days before it.
with months as (
    select
        customer_id,
        as_of,
        date_trunc('month', as_of - to_microseconds(round(tenure_days * 86400e6)::bigint)) as cohort,
        tx_count_30d > 0 as active
    from gold.customer_features
    where day(as_of) = 1 and as_of = date_trunc('day', as_of) and tx_count > 0
),
aged as (
    select *, date_diff('month', cohort, as_of) - 1 as age  -- the month after the cohort's own is age 0
    from months
)
select
    cohort::date as cohort,
    count(distinct customer_id) as customers,
    round(avg(active::int) filter (age = 1), 3) as after_1_month,
    round(avg(active::int) filter (age = 3), 3) as after_3_months,
    round(avg(active::int) filter (age = 6), 3) as after_6_months,
    round(avg(active::int) filter (age = 12), 3) as after_12_months
from aged
group by cohort
order by cohort
