"""The lake as one build of gold sees it: tables at fixed versions, and the time that their rows span."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from lakehouse.frozen_tables import FrozenTables
from lakehouse.gold.changes import state
from lakehouse.gold.months import DAY
from lakehouse.silver.history import HISTORY
from lakehouse.silver.sidecars import BUCKETS, CHANGES
from lakehouse.silver.split import bucket_of
from lakehouse.storage import Lake

EPOCH = datetime(1970, 1, 1)
"""Where data without transactions begins and ends."""
SOURCES = ("silver.transactions", "silver.events", "silver.products", "silver.campaigns", HISTORY)


@dataclass(frozen=True)
class FrozenLake(FrozenTables):
    """Silver's tables, and gold's that were made before, so that all tasks of a build see the same rows.

    state: what gold would be made of, see `gold.changes`. clock: the data's clock, midnight after the newest
    transaction; first: the first transaction's moment.
    """

    state: Mapping[str, int]
    first: datetime
    clock: datetime

    @classmethod
    def of(cls, lake: Lake, made: Iterable[str] = ()) -> "FrozenLake":
        """The lake with the newest versions of silver and of the gold tables `made` before."""
        changes = lake.look([CHANGES])  # before the rows: these may have more than it says, and never less
        tables = FrozenTables(lake, changes | lake.look([*SOURCES, *made]))
        first, clock = data_span(lake, tables.version("silver.transactions"))
        return cls(lake, tables.versions, state(tables), first, clock)

    @property
    def buckets(self) -> int:
        """Into how many buckets customers are divided."""
        return self.state[BUCKETS]

    @cached_property
    def campaigns(self) -> pl.DataFrame:
        """As silver's; like all that every task needs of it, read once."""
        return self.scan("silver.campaigns").collect()

    @cached_property
    def products(self) -> pl.DataFrame:
        """What lines need of their product: its number in the table and that of its category."""
        kinds = {"product": pl.int_range(pl.len()), "category": pl.col("category").rank("dense")}
        return self.scan("silver.products").select("product_id", "is_premium", **kinds).collect()

    @cached_property
    def attributes(self) -> pl.DataFrame:
        """What was known of each customer from `valid_from` on, by this; with the customer's bucket."""
        tiers = {"bronze": 0, "silver": 1, "gold": 2, "platinum": 3}
        tier = pl.col("loyalty_tier").str.to_lowercase().replace_strict(tiers, default=None, return_dtype=pl.Int64)
        rows = self.scan(HISTORY).select(
            "customer_id",
            pl.col("valid_from").fill_null(datetime(1, 1, 1)),
            "signup_date",
            "age",
            "country",
            "acquisition_channel",
            is_male=(pl.col("gender").str.to_lowercase() == "male").cast(pl.Int64),
            loyalty_level=tier,
            bucket=bucket_of("customer_id", self.buckets),
        )
        return rows.sort("valid_from").collect()


def data_span(lake: Lake, version: int | None = None) -> tuple[datetime, datetime]:
    """The first transaction's moment and the data's clock: the midnight after the newest transaction.

    `version` is that of `silver.transactions`, the newest where none is given.
    """
    table = "silver.transactions"
    files = lake.files(table, lake.version(table) if version is None else version)
    spans = [file.span for file in files if file.span]
    if untold := [file for file in files if not file.span]:
        ends = pl.col("timestamp").min().alias("first"), pl.col("timestamp").max().alias("last")
        spans += lake.read_files(table, untold).select(ends).drop_nulls().collect(engine="streaming").rows()
    first = min((first for first, _ in spans), default=EPOCH)
    last = max((last for _, last in spans), default=EPOCH)
    return first, datetime(last.year, last.month, last.day) + DAY
