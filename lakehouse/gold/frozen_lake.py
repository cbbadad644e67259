"""The lake as one build of gold sees it: tables at fixed versions, and the time that their rows span."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lakehouse.frozen_tables import FrozenTables
from lakehouse.gold.changes import state
from lakehouse.gold.months import DAY
from lakehouse.silver.history import HISTORY
from lakehouse.silver.sidecars import BUCKETS, CHANGES
from lakehouse.storage import Lake

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


def data_span(lake: Lake, version: int | None = None) -> tuple[datetime, datetime]:
    """The first transaction's moment and the data's clock: the midnight after the newest transaction.

    `version` is that of `silver.transactions`, the newest where none is given.
    """
    stamp = pl.col("timestamp")
    span = (
        lake.scan("silver.transactions", version)
        .select(first=stamp.min(), last=stamp.max())
        .collect(engine="streaming")
    )
    first, last = span.item(0, "first"), span.item(0, "last")
    if first is None:
        first = last = datetime(1970, 1, 1)
    return first, datetime(last.year, last.month, last.day) + DAY
