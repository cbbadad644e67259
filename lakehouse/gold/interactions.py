"""`gold.interactions`: one row per customer, product and day on which the customer bought, viewed or carted it.

A day's row says nothing of the data's clock, so that new days leave those before them alone.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import polars as pl

from lakehouse.errors import MissingTableError
from lakehouse.gold.history import DAY, Silver
from lakehouse.silver.sidecars import BUCKETS
from lakehouse.staging import StagedFile, partition_text

TABLE = "gold.interactions"
HALF_LIFE_DAYS = 60.0
PAIR = ["customer_id", "product_id"]
SOURCES = ("silver.transactions", "silver.events", BUCKETS)
"""The parts of silver's state that the table rests on."""
LAYOUT = {"by_day": 1}
"""Recorded with each commit, so that a table that was made otherwise is known as stale."""
COUNTS = ["purchase_count", "units", "view_count", "add_to_cart_count"]
SCHEMA = pl.Schema(
    dict.fromkeys(PAIR, pl.Int64())
    | {"day": pl.Date()}
    | dict.fromkeys(COUNTS, pl.Int64())
    | {"last_at": pl.Datetime("us"), "month": pl.Date(), "bucket": pl.Int32()}
)
"""Its columns; `bucket` and `month` are the partition."""


def interactions(silver: Silver, bucket: int, since: datetime) -> pl.DataFrame:
    """A bucket's rows from the month of `since` on, whatever the data's clock.

    `purchase_count` counts baskets; `last_at` is the last interaction of any kind. Refunds do not count.
    """
    mine = (pl.col("bucket") == bucket) & pl.col("product_id").is_not_null()
    rows = mine & (pl.col("timestamp") >= _month(since))
    baskets = (
        silver.scan("silver.transactions")
        .filter(rows, pl.col("refund_flag").fill_null(0) == 0)
        .group_by(*PAIR, "timestamp")
        .agg(units=pl.col("quantity").sum())
        .with_columns(baskets=pl.lit(1, pl.Int64))
    )
    kind = pl.col("event_type")
    seen = (
        silver.scan("silver.events")
        .filter(rows, kind.is_in(["view", "add_to_cart"]))
        .select(*PAIR, "timestamp", viewed=kind == "view", carted=kind == "add_to_cart")
    )
    days = pl.concat([baskets, seen], how="diagonal").group_by(*PAIR, day=pl.col("timestamp").dt.date())
    totals = days.agg(
        purchase_count=pl.col("baskets").sum(),
        units=pl.col("units").sum(),
        view_count=pl.col("viewed").sum().cast(pl.Int64),
        add_to_cart_count=pl.col("carted").sum().cast(pl.Int64),
        last_at=pl.col("timestamp").max(),
    )
    by_month = totals.with_columns(month=pl.col("day").dt.month_start())
    return by_month.select(name for name in SCHEMA if name != "bucket").sort(*PAIR, "day").collect(engine="streaming")


def stale_files(files: Iterable[StagedFile], since: Mapping[int, datetime]) -> list[StagedFile]:
    """Those of the months that end after the moment from which on their bucket differs."""
    first = {str(bucket): partition_text(_month(moment).date()) for bucket, moment in since.items()}
    return [file for file in files if file.partition["month"] >= first.get(file.partition["bucket"], "never")]


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


def _month(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
