"""What happened to a bucket of customers and when: the only place where gold reads silver's facts.

Every feature as of a moment is a sum, a first or a last over rows before it; `before` computes them for many moments
at once, in one pass over the rows however many moments there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.exposures import exposures
from lakehouse.silver.history import HISTORY
from lakehouse.silver.split import bucket_of
from lakehouse.storage import Lake

DAY = timedelta(days=1)
EVENT_TYPES = ("view", "click", "add_to_cart", "purchase")
SOURCES = ("silver.transactions", "silver.events", "silver.products", "silver.campaigns", HISTORY)
GRAIN = ["customer_id", "timestamp"]
KEY = ["customer_id", "as_of"]


@dataclass(frozen=True)
class Silver:
    """The silver tables at fixed versions, so that all tasks of a build see the same rows.

    clock: the data's clock, midnight after the newest transaction; first: the first transaction's moment.
    """

    lake: Lake
    versions: Mapping[str, int]
    buckets: int
    first: datetime
    clock: datetime

    def scan(self, table: str) -> pl.LazyFrame:
        """A table's rows at the fixed version."""
        return self.lake.scan(table, self.versions[table])


@dataclass(frozen=True)
class History:
    """One bucket of customers.

    orders: one row per customer and timestamp of transactions, with what can be summed.
    events: one row per event. exposures: see `gold.exposures`. attributes: see `silver.customer_history`.
    """

    orders: pl.DataFrame
    events: pl.DataFrame
    exposures: pl.DataFrame
    attributes: pl.DataFrame


def data_span(lake: Lake) -> tuple[datetime, datetime]:
    """The first transaction's moment and the data's clock: the midnight after the newest transaction."""
    stamp = pl.col("timestamp")
    span = lake.scan("silver.transactions").select(first=stamp.min(), last=stamp.max()).collect(engine="streaming")
    first, last = span.item(0, "first"), span.item(0, "last")
    if first is None:
        first = last = datetime(1970, 1, 1)
    return first, datetime(last.year, last.month, last.day) + DAY


def read_history(silver: Silver, bucket: int) -> History:
    """Read one bucket."""
    mine = pl.col("bucket") == bucket
    transactions = silver.scan("silver.transactions").filter(mine)
    events = silver.scan("silver.events").filter(mine)
    products = silver.scan("silver.products").select("product_id", "category", "is_premium")
    attributes = silver.scan(HISTORY).filter(bucket_of("customer_id", silver.buckets) == bucket)
    sold, told, known = pl.collect_all(
        [_orders(transactions.join(products, on="product_id", how="left")), _events(events), _attributes(attributes)],
        engine="streaming",
    )
    reached = exposures(events, transactions, silver.scan("silver.campaigns"), silver.clock)
    return History(orders=sold.sort("timestamp"), events=told.sort("timestamp"), exposures=reached, attributes=known)


def before(
    keys: pl.DataFrame,
    rows: pl.DataFrame,
    *,
    sums: Mapping[str, pl.Expr],
    first: Mapping[str, pl.Expr] | None = None,
    last: Mapping[str, pl.Expr] | None = None,
) -> pl.DataFrame:
    """Sums, firsts and lasts over a customer's rows with `timestamp < as_of`, for each (customer_id, as_of) of `keys`.

    `keys` are unique and sorted by as_of, `rows` by timestamp; the answer is sorted by customer and as_of. Each row is
    counted at the first as_of after it, and a running total over the customer's as_ofs does the rest.
    """
    first, last = first or {}, last or {}
    placed = rows.join_asof(
        keys.select("customer_id", "as_of"),
        left_on="timestamp",
        right_on="as_of",
        by="customer_id",
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    counted = (
        placed.lazy()
        .filter(pl.col("as_of").is_not_null())
        .group_by(KEY)
        .agg(
            **{name: part.sum() for name, part in sums.items()},
            **{name: part.min() for name, part in first.items()},
            **{name: part.max() for name, part in last.items()},
        )
    )
    total = {name: pl.col(name).fill_null(0).cum_sum().over("customer_id") for name in sums}
    total |= {name: pl.col(name).cum_min().forward_fill().over("customer_id") for name in first}
    total |= {name: pl.col(name).cum_max().forward_fill().over("customer_id") for name in last}
    return keys.lazy().select(KEY).join(counted, on=KEY, how="left").sort(KEY).with_columns(**total).collect()


def _orders(transactions: pl.LazyFrame) -> pl.LazyFrame:
    """All sales of one customer at one moment are one order; a line without a price counts too.

    Refunds are negative revenue on a line of their own. `categories` and `products` count what was bought first then.
    """
    sale = pl.col("refund_flag").fill_null(0) == 0
    columns = {"discount": "discount_applied", "premium": "is_premium"}
    lines = transactions.group_by(GRAIN).agg(
        orders=sale.any().cast(pl.Int64),
        lines=sale.sum().cast(pl.Int64),
        refunds=(~sale).sum().cast(pl.Int64),
        revenue=pl.col("gross_revenue").sum(),
        quantity=pl.col("quantity").filter(sale).sum(),
        **{name: pl.col(column).filter(sale).sum() for name, column in columns.items()},
        **{f"{name}_lines": pl.col(column).filter(sale).count().cast(pl.Int64) for name, column in columns.items()},
    )
    sales = transactions.filter(sale)
    parts = [lines, _firsts(sales, "category", "categories"), _firsts(sales, "product_id", "products")]
    joined = parts[0].join(parts[1], on=GRAIN, how="left").join(parts[2], on=GRAIN, how="left")
    return joined.with_columns(pl.col("categories", "products").fill_null(0))


def _firsts(sales: pl.LazyFrame, column: str, name: str) -> pl.LazyFrame:
    """How many categories (or products) each customer bought for the first time at a moment."""
    first = sales.filter(pl.col(column).is_not_null()).group_by("customer_id", column).agg(pl.col("timestamp").min())
    return first.group_by(GRAIN).agg(pl.len().cast(pl.Int64).alias(name))


def _events(events: pl.LazyFrame) -> pl.LazyFrame:
    return events.select(*GRAIN, "event_type", duration="session_duration_sec")


def _attributes(history: pl.LazyFrame) -> pl.LazyFrame:
    tiers = {"bronze": 0, "silver": 1, "gold": 2, "platinum": 3}
    tier = pl.col("loyalty_tier").str.to_lowercase().replace_strict(tiers, default=None, return_dtype=pl.Int64)
    return history.select(
        "customer_id",
        pl.col("valid_from").fill_null(datetime(1, 1, 1)),
        "signup_date",
        "age",
        "country",
        "acquisition_channel",
        is_male=(pl.col("gender").str.to_lowercase() == "male").cast(pl.Int64),
        loyalty_level=tier,
    ).sort("valid_from")


def month_starts(first: datetime, clock: datetime) -> list[datetime]:
    """The first midnights of the months after `first`, up to the clock."""
    months = pl.datetime_range(
        first.replace(day=1, hour=0, minute=0, second=0, microsecond=0), clock, "1mo", eager=True
    )
    return [month for month in months.to_list() if first < month <= clock]
