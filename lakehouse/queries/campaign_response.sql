-- How many of those whom a campaign reached bought with its id in time, by channel and objective?
select
    campaign_channel,
    campaign_objective,
    count(*) as exposures,
    sum(responded)::bigint as responses,
    round(avg(responded), 4) as response_rate,
    round(sqrt(avg(responded) * (1 - avg(responded)) / count(*)), 4) as standard_error
from gold.campaign_exposures
where responded is not null  -- null while the window is open
group by campaign_channel, campaign_objective
order by response_rate desc, exposures desc
