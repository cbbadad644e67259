"""Replay: which past date, customers, campaigns and products to ask for, so that their outcomes are known by now."""

from dataclasses import dataclass
from datetime import datetime

from lakehouse.query import sql
from lakehouse.storage import Lake

CUSTOMERS = 500
PRODUCTS = 200

DATES = """
-- Days on which campaigns reached customers, with how many exposures of the 30 days from then have a known outcome.
with days as (
    select distinct cast(as_of as date) as day from gold.campaign_exposures
)
select cast(day as timestamp) as day, count(*) as exposures
from days
join gold.campaign_exposures on as_of >= day and as_of < day + interval 30 days and responded is not null
group by day
order by exposures >= {customers} desc, case when exposures >= {customers} then day end desc, exposures desc
limit 1
"""

EXPOSURES = """
select cast(customer_id as varchar) as customer_id, cast(campaign_id as varchar) as campaign_id
from gold.campaign_exposures
where as_of >= timestamp '{day}' and as_of < timestamp '{day}' + interval 30 days and responded is not null
order by campaign_id, customer_id
limit {limit}
"""

PRODUCTS_SOLD = """
select cast(product_id as varchar) as product_id
from gold.product_features
where as_of = (select max(as_of) from gold.product_features where as_of <= timestamp '{day}') and units > 0
order by revenue desc, product_id
limit {limit}
"""


@dataclass(frozen=True)
class Replay:
    """What to ask as of a past date: pairs of customer and campaign by campaign, and products."""

    as_of: datetime
    customers_by_campaign: dict[str, list[str]]

    @property
    def customers(self) -> list[str]:
        """The distinct customers, in order."""
        pairs = (customer for customers in self.customers_by_campaign.values() for customer in customers)
        return list(dict.fromkeys(pairs))


def choose_replay(lake: Lake) -> Replay | None:
    """The newest date from which at least 500 reached customers have known outcomes, or the date with the most.

    None where the lake has no campaign exposures with an outcome.
    """
    dates = sql(lake, DATES.format(customers=CUSTOMERS))
    if dates.is_empty():
        return None
    day: datetime = dates.item(0, "day")
    by_campaign: dict[str, list[str]] = {}
    for customer, campaign in sql(lake, EXPOSURES.format(day=day, limit=2 * CUSTOMERS)).iter_rows():
        by_campaign.setdefault(campaign, []).append(customer)
    return Replay(as_of=day, customers_by_campaign=by_campaign)


def products_sold(lake: Lake, day: datetime | None) -> list[str]:
    """The products with the most revenue in the four weeks before a day (None: the data's clock), at most 200."""
    query = PRODUCTS_SOLD.format(day=day or datetime.max, limit=PRODUCTS)
    return [row[0] for row in sql(lake, query).iter_rows()]
