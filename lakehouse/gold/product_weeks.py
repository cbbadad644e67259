"""`gold.product_weeks`: one row per product and week in which it was sold, and what tasks of a build add up to it.

Only sales with a price count, refunds do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.changes import LAYOUT
from lakehouse.gold.months import MONTH, day_start, month_of
from lakehouse.silver.sidecars import BUCKETS

TABLE = "gold.product_weeks"
SOURCES = ("silver.transactions", "silver.products", BUCKETS, LAYOUT)
"""The parts of gold's state that the table rests on."""
SPAN = timedelta(days=28)
KEY = ["product_id", "week"]
SCHEMA = pl.Schema(
    {
        "product_id": pl.Int64(),
        "week": pl.Date(),
        "units": pl.Int64(),
        "revenue": pl.Decimal(18, 2),
        "new_buyers": pl.Int64(),
        "last_sold": pl.Datetime("us"),
        MONTH: pl.Date(),
    }
)


@dataclass(frozen=True)
class Sold:
    """What some buckets sold; a customer is in one bucket, so that even buyers can be added up.

    weeks: by product and week, from some week on. latest: for each of some moments, by product, what was sold in the
    last 28 days and, as `week_…`, in the week that the moment is in, both before the moment.
    """

    weeks: pl.DataFrame
    latest: list[pl.DataFrame]


def week_start(moment: datetime) -> datetime:
    """The midnight of the Monday at or before a moment."""
    return day_start(moment) - timedelta(days=moment.weekday())


def sold(lines: pl.DataFrame, since: datetime, moments: Sequence[datetime]) -> Sold:
    """What lines, marked as in `history`, add up to: weeks from the one of `since` on, and the latest by moment."""
    sales = lines.lazy().filter("sale", pl.col("product_id").is_not_null(), pl.col("gross_revenue").is_not_null())
    stamp, week = pl.col("timestamp"), pl.col("timestamp").dt.truncate("1w").dt.date()
    totals = {
        "units": pl.col("quantity").sum(),
        "revenue": pl.col("gross_revenue").sum(),
        "new_buyers": pl.col("new_product").sum().cast(pl.Int64),
        "last_sold": stamp.max(),
    }
    weeks = sales.filter(stamp >= week_start(since)).group_by("product_id", week=week).agg(**totals)
    latest = []
    for moment in moments:
        here = stamp >= week_start(moment)
        recent = sales.filter(stamp < moment, stamp >= moment - SPAN).group_by("product_id")
        sums = recent.agg(
            units=pl.col("quantity").sum(),
            revenue=pl.col("gross_revenue").sum(),
            discount=pl.col("discount_applied").sum(),
            discounts=pl.col("discount_applied").count().cast(pl.Int64),
            week_units=pl.col("quantity").filter(here).sum(),
            week_revenue=pl.col("gross_revenue").filter(here).sum(),
            week_new_buyers=pl.col("new_product").filter(here).sum().cast(pl.Int64),
            week_last_sold=stamp.filter(here).max(),
        )
        latest.append(sums)
    found = pl.collect_all([weeks, *latest], engine="streaming")
    return Sold(found[0], found[1:])


def added(parts: Sequence[Sold]) -> Sold:
    """What all parts sold together."""
    weeks = _added([part.weeks for part in parts], KEY)
    return Sold(
        weeks, [_added(frames, ["product_id"]) for frames in zip(*(part.latest for part in parts), strict=True)]
    )


def _added(frames: Sequence[pl.DataFrame], key: list[str]) -> pl.DataFrame:
    last = pl.selectors.ends_with("last_sold")
    return pl.concat(frames).lazy().group_by(key).agg((~last).sum(), last.max()).collect(engine="streaming")


def before(rows: pl.LazyFrame, since: datetime) -> pl.DataFrame:
    """The table's rows of the weeks before the one of `since`."""
    return rows.filter(pl.col("week") < week_start(since).date()).select(SCHEMA.names()).collect()


def continued(earlier: pl.DataFrame, sums: Sold | None) -> pl.DataFrame:
    """All weeks, in no order: earlier ones, and what was sold from then on."""
    late = [] if sums is None else [sums.weeks.with_columns(month_of("week")).select(SCHEMA.names()).cast(SCHEMA)]
    return pl.concat([earlier, *late])
