-- Training set of propensity: whom did campaigns reach, what was known of them then, and who responded in the window?
select *, responded::double as label
from gold.campaign_exposures
where responded is not null  -- null while the window is open
order by as_of, campaign_id, customer_id
