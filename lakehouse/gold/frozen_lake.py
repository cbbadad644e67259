"""The lake as one build sees it: tables at fixed versions, and the time that their rows span."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lakehouse.gold.months import DAY
from lakehouse.storage import Lake


@dataclass(frozen=True)
class FrozenLake:
    """Tables at fixed versions, so that all tasks of a build see the same rows: silver's, and gold's made before.

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
