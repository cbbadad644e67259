"""What happened to each customer and when, condensed so that features as of any moment are sums over rows before it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from lakehouse.storage import Lake

RESPONSE_WINDOW = timedelta(days=30)
"""How long after an exposure a purchase with the campaign's id counts as a response, unless the campaign ends first."""
EVENT_TYPES = ("view", "click", "add_to_cart", "purchase")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class History:
    """The silver tables condensed.

    clock: the data's clock, midnight after the newest transaction; first: the first transaction's moment.
    moments: one row per customer and timestamp with what can be summed: orders, lines, revenue, events by type.
    exposures: one row per customer and campaign that reached them: as_of (the exposure), window_end, responded (null
        while the window has not elapsed by the data's clock), and what is known of the campaign.
    customers: one row per customer, attributes as they are today.
    """

    clock: datetime
    first: datetime
    moments: pl.DataFrame
    exposures: pl.DataFrame
    customers: pl.DataFrame


def read_history(lake: Lake) -> History:
    """Condense the silver tables."""
    first, clock = data_span(lake)
    sale = pl.col("refund_flag").fill_null(0) == 0
    transactions = lake.scan("silver.transactions").join(
        lake.scan("silver.products").select("product_id", "category", "is_premium"), on="product_id", how="left"
    )
    sales = transactions.filter(sale)
    events = lake.scan("silver.events")
    parts = [
        _orders(sales),
        _money(transactions, sale),
        _firsts(sales, "category", "categories"),
        _firsts(sales, "product_id", "products"),
        _events(events),
    ]
    moments = pl.concat(parts, how="diagonal").group_by("customer_id", "timestamp").agg(pl.all().sum())
    return History(
        clock=clock,
        first=first,
        moments=moments.sort("customer_id", "timestamp").collect(engine="streaming"),
        exposures=_exposures(events, sales, lake.scan("silver.campaigns").collect(), clock),
        customers=_customers(lake.scan("silver.customers")),
    )


def data_span(lake: Lake) -> tuple[datetime, datetime]:
    """The first transaction's moment and the data's clock: the midnight after the newest transaction."""
    stamp = pl.col("timestamp")
    span = lake.scan("silver.transactions").select(first=stamp.min(), last=stamp.max()).collect()
    first, last = span.item(0, "first"), span.item(0, "last")
    if first is None:
        first = last = datetime(1970, 1, 1)
    return first, datetime(last.year, last.month, last.day) + DAY


def _orders(sales: pl.LazyFrame) -> pl.LazyFrame:
    """All sales of one customer at one moment are one order; a line without a price counts too."""
    columns = {"discount": "discount_applied", "premium": "is_premium"}
    return sales.group_by("customer_id", "timestamp").agg(
        pl.lit(1, dtype=pl.Int64).alias("orders"),
        pl.len().cast(pl.Int64).alias("lines"),
        pl.col("quantity").sum().alias("quantity"),
        *(pl.col(column).sum().alias(name) for name, column in columns.items()),
        *(pl.col(column).count().cast(pl.Int64).alias(f"{name}_lines") for name, column in columns.items()),
    )


def _money(transactions: pl.LazyFrame, sale: pl.Expr) -> pl.LazyFrame:
    """Refunds are negative revenue on a line of their own."""
    return transactions.group_by("customer_id", "timestamp").agg(
        pl.col("gross_revenue").sum().alias("revenue"),
        (~sale).sum().cast(pl.Int64).alias("refunds"),
    )


def _firsts(sales: pl.LazyFrame, column: str, name: str) -> pl.LazyFrame:
    """How many categories (or products) each customer bought for the first time at a moment."""
    first = sales.filter(pl.col(column).is_not_null()).group_by("customer_id", column).agg(pl.col("timestamp").min())
    return first.group_by("customer_id", "timestamp").agg(pl.len().cast(pl.Int64).alias(name))


def _events(events: pl.LazyFrame) -> pl.LazyFrame:
    return events.group_by("customer_id", "timestamp").agg(
        *((pl.col("event_type") == name).sum().cast(pl.Int64).alias(f"{name}_events") for name in EVENT_TYPES),
        pl.col("session_duration_sec").sum().alias("duration"),
        pl.col("session_duration_sec").count().cast(pl.Int64).alias("durations"),
    )


def _exposures(events: pl.LazyFrame, sales: pl.LazyFrame, campaigns: pl.DataFrame, clock: datetime) -> pl.DataFrame:
    """A customer's first event of a campaign that is no purchase; the response is a sale with the campaign's id.

    The window ends with the campaign, or after 30 days where the customer was reached while it ran. Where fewer than
    half of all events with a campaign lie within its dates, the dates mean nothing and only the 30 days count.
    """
    linked = (
        events.filter(pl.col("campaign_id").is_not_null())
        .select("customer_id", "campaign_id", "timestamp", purchase=pl.col("event_type") == "purchase")
        .join(campaigns.lazy(), on="campaign_id", how="left")
        .with_columns(starts=pl.col("start_date").cast(pl.Datetime("us")))
        .with_columns(ends=pl.col("end_date").cast(pl.Datetime("us")) + DAY)
    )
    within = linked.select(pl.col("timestamp").is_between("starts", "ends").fill_null(False).mean()).collect().item()
    reached = (
        linked.filter(~pl.col("purchase"))
        .group_by("customer_id", "campaign_id")
        .agg(pl.col("timestamp").min().alias("as_of"), pl.col("starts", "ends", "expected_uplift").first())
        .collect()
    )
    after = pl.col("as_of") + RESPONSE_WINDOW
    window_end = after
    if within is not None and within >= 0.5:
        mailed = (pl.col("as_of") <= pl.col("starts")).all().over("campaign_id")
        window_end = pl.when(mailed).then("ends").otherwise(pl.min_horizontal(after, "ends"))
    reached = reached.with_columns(window_end=pl.max_horizontal(window_end.fill_null(after), "as_of"))
    answered = (
        sales.filter(pl.col("campaign_id").is_not_null())
        .select("customer_id", "campaign_id", "timestamp")
        .collect()
        .join(reached, on=["customer_id", "campaign_id"])
        .filter(pl.col("timestamp") >= pl.col("as_of"), pl.col("timestamp") < pl.col("window_end"))
        .select("customer_id", "campaign_id", responded=pl.lit(1, dtype=pl.Int64))
        .unique()
    )
    return (
        reached.join(answered, on=["customer_id", "campaign_id"], how="left")
        .join(campaigns.select("campaign_id", "channel", "objective"), on="campaign_id", how="left")
        .with_columns(responded=pl.when(pl.col("window_end") <= clock).then(pl.col("responded").fill_null(0)))
        .select(
            "customer_id",
            "campaign_id",
            "as_of",
            "window_end",
            "responded",
            uplift_mean="expected_uplift",
            campaign_days=(pl.col("ends") - pl.col("starts")).dt.total_seconds() / 86_400,
            campaign_channel="channel",
            campaign_objective="objective",
        )
        .sort("as_of", "campaign_id", "customer_id")
    )


def _customers(customers: pl.LazyFrame) -> pl.DataFrame:
    tiers = {"bronze": 0, "silver": 1, "gold": 2, "platinum": 3}
    gender = pl.col("gender").str.to_lowercase()
    return customers.select(
        "customer_id",
        "signup_date",
        "age",
        "country",
        "acquisition_channel",
        is_male=(gender == "male").cast(pl.Int64),
        loyalty_level=pl.col("loyalty_tier")
        .str.to_lowercase()
        .replace_strict(tiers, default=None, return_dtype=pl.Int64),
    ).collect()
