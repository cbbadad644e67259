"""What happened to a bucket of customers and when: the only place where gold reads silver's facts.

Every feature as of a moment is a sum, a first or a last over rows before it, see `gold.before`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.before import Base
from lakehouse.gold.changes import ALWAYS
from lakehouse.gold.customer_totals import open_exposures, reached_by
from lakehouse.gold.exposures import exposures
from lakehouse.gold.firsts import Timeline
from lakehouse.gold.frozen_lake import FrozenLake

REACH = timedelta(days=180)
"""The longest of the windows that features look back for."""
EVENT_TYPES = ("view", "click", "add_to_cart", "purchase")
EVENT_COLUMNS = ("customer_id", "timestamp", "event_type", "session_duration_sec", "campaign_id")
LINE_COLUMNS = (
    "customer_id",
    "timestamp",
    "product_id",
    "quantity",
    "discount_applied",
    "gross_revenue",
    "campaign_id",
)
SALE = (pl.col("refund_flag").fill_null(0) == 0).alias("sale")


@dataclass(frozen=True)
class Facts:
    """Some buckets' rows of silver. lines: one per transaction; events: one per event, see `_events`."""

    lines: pl.DataFrame
    events: pl.DataFrame


@dataclass(frozen=True)
class History:
    """Some buckets of customers.

    lines: one row per transaction, see `_marked`. events: one row per event, see `_events`.
    exposures: see `gold.exposures`. campaigns: as silver's. attributes: see `silver.customer_history`.
    With a `base`, events are those since it alone, lines those since it and in the windows before it, and exposures
    those since it and the ones that were open then.
    """

    base: Base | None
    lines: pl.DataFrame
    events: pl.DataFrame
    exposures: pl.DataFrame
    campaigns: pl.DataFrame
    attributes: pl.DataFrame

    def counted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows for which the base's totals do not stand; all where there is none."""
        return rows.filter(pl.col("timestamp") >= self.base.moment) if self.base else rows

    def of(self, customers: pl.Series) -> "History":
        """That of some of the customers; all of the campaigns."""
        theirs = pl.col("customer_id").is_in(customers.unique().implode())
        lines, events, exposures, attributes = pl.collect_all(
            rows.lazy().filter(theirs) for rows in (self.lines, self.events, self.exposures, self.attributes)
        )
        return replace(self, lines=lines, events=events, exposures=exposures, attributes=attributes)


def read_facts(
    frozen: FrozenLake, buckets: Sequence[int], since: datetime = ALWAYS, *, products: bool = False
) -> Facts:
    """Read the facts of some buckets, of events those since a moment and, where asked for, their products."""
    mine = pl.col("bucket").is_in(buckets)
    transactions = frozen.scan("silver.transactions").filter(mine).select(*LINE_COLUMNS, SALE)
    late = [] if since == ALWAYS else [pl.col("timestamp") >= since]  # a filter that all rows pass costs a tenth
    events = frozen.scan("silver.events").filter(mine, *late)
    columns = (*EVENT_COLUMNS, "product_id") if products else EVENT_COLUMNS
    lines, told = pl.collect_all([transactions, _events(events.select(columns))])
    return Facts(lines, told)


def history(
    frozen: FrozenLake,
    facts: Facts,
    buckets: Sequence[int],
    *,
    base: Base | None = None,
    marked_since: datetime = ALWAYS,
) -> History:
    """What the buckets' facts amount to; a `base` stands for earlier events.

    Lines since the base, and since `marked_since`, are marked.
    """
    linked = facts.lines.filter("sale", pl.col("campaign_id").is_not_null())
    lines, products = facts.lines, frozen.products
    since = None if base is None else min(base.moment, marked_since)
    earlier = {} if base is None else {"reached": reached_by(base.totals), "open_before": open_exposures(base.totals)}
    return History(
        base=base,
        lines=_first_times(lines, products) if since is None else _first_times_since(lines, products, since),
        events=facts.events,
        exposures=exposures(facts.events, linked, frozen.campaigns, frozen.clock, **earlier),
        campaigns=frozen.campaigns,
        attributes=frozen.attributes.filter(pl.col("bucket").is_in(buckets)).drop("bucket"),
    )


def _events(events: pl.LazyFrame) -> pl.LazyFrame:
    """Instead of the event's type whether it is each of those that are counted."""
    kinds = {name: pl.col("event_type") == name for name in EVENT_TYPES}
    return events.with_columns(**kinds).drop("event_type")


def _first_times(lines: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """The lines with what is known of their products, marked also where a sale is the customer's first of its kind."""
    known = lines.drop("campaign_id").join(products, on="product_id", how="left", maintain_order="left")
    return _marked(known, new_product="product", new_category="category")


def _marked(lines: pl.DataFrame, **kinds: str) -> pl.DataFrame:
    """The lines, marked where a sale begins an order, and where it is the customer's first of each of the kinds.

    All sales of one customer at one moment are one order; refunds are lines that belong to none.
    """
    timeline = Timeline(lines["customer_id"], lines["timestamp"], lines["sale"])
    marks = {"new_order": timeline.moments(), **{mark: timeline.first(lines[kind]) for mark, kind in kinds.items()}}
    return lines.with_columns(**marks)


def _first_times_since(lines: pl.DataFrame, products: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """As `_first_times`, the lines since a moment, and those in the windows before it, marked with orders alone."""
    stamp, start = pl.col("timestamp"), max(moment, ALWAYS + REACH) - REACH
    late = _first_times(lines.filter(stamp >= moment), products)
    earlier = lines.lazy().filter(stamp < moment, "sale").select("customer_id", "product_id")
    late = _unmarked(late, "new_product", "product_id", earlier)
    doubtful = late.filter("new_category")["customer_id"].unique()
    of_these = earlier.filter(pl.col("customer_id").is_in(doubtful.implode()))
    kinds = of_these.join(products.lazy(), on="product_id").select("customer_id", "category")
    late = _unmarked(late, "new_category", "category", kinds)
    windows = _marked(lines.filter(stamp >= start, stamp < moment).drop("campaign_id"))
    return pl.concat([windows, late], how="diagonal")


def _unmarked(late: pl.DataFrame, mark: str, kind: str, earlier: pl.LazyFrame) -> pl.DataFrame:
    """The lines without the mark of those whose customer and kind come among earlier ones."""
    pair, rows = ["customer_id", kind], late.with_row_index("row")
    first = rows.filter(mark).select(*pair, "row")
    theirs = earlier.filter(pl.col("customer_id").is_in(first["customer_id"].unique().implode()))
    known = theirs.join(first.lazy(), on=pair).select("row").unique().collect(engine="streaming")["row"]
    return rows.with_columns(pl.col(mark) & ~pl.col("row").is_in(known.implode())).drop("row")
