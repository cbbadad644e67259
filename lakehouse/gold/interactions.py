"""`gold.interactions`: one row per customer, product and day on which the customer bought, viewed or carted it.

A day's row says nothing of the data's clock, so that new days leave those before them alone.
"""

from datetime import datetime

import polars as pl

from lakehouse.errors import MissingTableError
from lakehouse.gold.changes import LAYOUT
from lakehouse.gold.history import Facts
from lakehouse.gold.months import DAY, day_start, month_of, month_start
from lakehouse.silver.sidecars import BUCKETS

TABLE = "gold.interactions"
HALF_LIFE_DAYS = 60.0
PAIR = ["customer_id", "product_id"]
SOURCES = ("silver.transactions", "silver.events", BUCKETS, LAYOUT)
"""The parts of gold's state that the table rests on."""
COUNTS = ["purchase_count", "units", "view_count", "add_to_cart_count"]
SCHEMA = pl.Schema(
    dict.fromkeys(PAIR, pl.Int64())
    | {"day": pl.Date()}
    | dict.fromkeys(COUNTS, pl.Int64())
    | {"last_at": pl.Datetime("us"), "month": pl.Date(), "bucket": pl.Int32()}
)
"""Its columns; `bucket` and `month` are the partition."""
COLUMNS = [name for name in SCHEMA if name != "bucket"]


def interactions(facts: Facts, since: datetime, *, made: pl.LazyFrame | None = None) -> pl.DataFrame:
    """The rows from the day of `since` on, whatever the data's clock.

    `purchase_count` counts baskets; `last_at` is the last interaction of any kind. Refunds do not count. With rows
    `made` before, those of the whole month: what they say of its earlier days holds.
    """
    inside = (pl.col("timestamp") >= day_start(since)) & pl.col("product_id").is_not_null()
    baskets = (
        facts.lines.lazy()
        .filter(inside, "sale")
        .group_by(*PAIR, "timestamp")
        .agg(units=pl.col("quantity").sum())
        .with_columns(baskets=pl.lit(1, pl.Int64))
    )
    kinds = {"viewed": pl.col("view"), "carted": pl.col("add_to_cart")}
    seen = facts.events.lazy().filter(inside, pl.any_horizontal(kinds.values())).select(*PAIR, "timestamp", **kinds)
    days = pl.concat([baskets, seen], how="diagonal").group_by(*PAIR, day=pl.col("timestamp").dt.date())
    totals = days.agg(
        purchase_count=pl.col("baskets").sum(),
        units=pl.col("units").sum(),
        view_count=pl.col("viewed").sum().cast(pl.Int64),
        add_to_cart_count=pl.col("carted").sum().cast(pl.Int64),
        last_at=pl.col("timestamp").max(),
    )
    found = [totals.with_columns(month_of("day")).select(COLUMNS).collect(engine="streaming")]
    month, day = (start(since).date() for start in (month_start, day_start))
    if made is not None and month < day:
        found.append(made.filter(pl.col("month") == month, pl.col("day") < day).select(COLUMNS).collect())
    return pl.concat(found).sort(*PAIR, "day")


def interactions_before(rows: pl.LazyFrame, as_of: datetime) -> pl.LazyFrame:
    """One row per customer and product: what the days that ended before `as_of` add up to.

    `recency_days` is the time since the last interaction; `recency_weight` the baskets, each counting half for every
    60 days of age. A day with an interaction at `as_of` or after it does not count.

    Raises:
        MissingTableError: the rows are of a version that was not by day.
    """
    if "day" not in rows.collect_schema():
        raise MissingTableError(f"this version of {TABLE} is not by day: run `shopsphere build`, and train again")
    age_days = (pl.lit(as_of) - pl.col("last_at")) / pl.lit(DAY)
    before = rows.filter(pl.col("month") <= as_of.date(), pl.col("last_at") < as_of).group_by(PAIR)
    return before.agg(
        purchase_count=pl.col("purchase_count").sum(),
        units=pl.col("units").sum(),
        recency_days=age_days.min(),
        recency_weight=(pl.col("purchase_count") * 0.5 ** (age_days / HALF_LIFE_DAYS)).sum(),
        view_count=pl.col("view_count").sum(),
        add_to_cart_count=pl.col("add_to_cart_count").sum(),
    )
