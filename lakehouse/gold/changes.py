"""What changed in silver since a gold table was built: for each bucket, the moment from which its history differs."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import polars as pl

from lakehouse.contracts import FACTS, REQUIRED
from lakehouse.frozen_tables import FrozenTables
from lakehouse.silver.history import HISTORY
from lakehouse.silver.sidecars import BATCH, BUCKETS, CHANGES
from lakehouse.silver.split import bucket_of
from lakehouse.storage import Lake

ALWAYS = datetime(1, 1, 1)
"""The whole history differs."""
CLOCK = "clock"
"""Application id under which a gold table's commit records the data's clock, in seconds since 1970."""
LAYOUT, LAYOUT_NOW = "layout", 4
"""Recorded with each commit, so that what an earlier version of this code made is known as stale."""


@dataclass(frozen=True)
class Changes:
    """since: by bucket, rows before that moment are as they were; products: whether any product says something else."""

    since: Mapping[int, datetime]
    products: bool

    @property
    def earliest(self) -> datetime | None:
        """The moment from which on anything differs; None where nothing does."""
        return min(self.since.values(), default=None)


def state(tables: FrozenTables) -> dict[str, int]:
    """What gold would be made of: the number of each silver table's last known batch, of buckets, and of the layout."""
    buckets = tables.transaction(f"silver.{FACTS[0]}", BUCKETS) or 1
    told = tables.transactions(CHANGES, [f"silver.{table}" for table in REQUIRED])
    known = {table: batch or 0 for table, batch in told.items()}
    return known | {HISTORY: tables.transaction(HISTORY, BATCH) or 0, BUCKETS: buckets, LAYOUT: LAYOUT_NOW}


def built_clock(lake: Lake, table: str, version: int | None = None) -> datetime | None:
    """The data's clock when a version of a gold table was built, the newest where none is given; None before that."""
    return clock_of(lake.transaction(table, CLOCK, version))


def clock_of(seconds: int | None) -> datetime | None:
    """The data's clock as a commit recorded it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def changes(tables: FrozenTables, sources: Mapping[str, Collection[str]], now: Mapping[str, int]) -> dict[str, Changes]:
    """What changed since each gold table was built, by what its last commit recorded of the parts of `now` it rests on.

    Tables that were built of the same silver, as all of them usually were, share one answer.
    """
    built = {table: tuple(recorded.items()) for table, recorded in tables.recorded(sources).items()}
    told = cache(lambda: tables.scan(CHANGES).collect())
    found = {recorded: _since(tables, dict(recorded), now, told) for recorded in set(built.values())}
    return {table: found[recorded] for table, recorded in built.items()}


def _since(
    tables: FrozenTables, built: Mapping[str, int | None], now: Mapping[str, int], told: Callable[[], pl.DataFrame]
) -> Changes:
    buckets = now[BUCKETS]
    if None in built.values() or any(built[name] != now[name] for name in (BUCKETS, LAYOUT)):
        return Changes(dict.fromkeys(range(buckets), ALWAYS), products=True)
    known = [(name, built.get(f"silver.{name}")) for name in REQUIRED]
    later = [(pl.col("table") == name) & (pl.col(BATCH) > batch) for name, batch in known if batch is not None]
    new = told().filter(pl.any_horizontal(later))
    found = new.select("bucket", "since").rows()
    if HISTORY in built and built[HISTORY] != now[HISTORY]:
        found += _attributes(tables, built[HISTORY] or 0, buckets)
    since: dict[int, datetime] = {}
    for bucket, moment in found:
        for each in range(buckets) if bucket is None else [bucket]:
            since[each] = min(moment or ALWAYS, since.get(each) or datetime.max)
    return Changes(since, products="products" in new["table"])


def _attributes(tables: FrozenTables, batch: int, buckets: int) -> list[tuple[int, datetime | None]]:
    """From when on new customers are there, and others say something else."""
    told = tables.scan(HISTORY).filter(pl.col(BATCH) > batch).collect()
    if told.is_empty():
        return []
    fresh = told.filter(pl.col("valid_from").is_null()).select(
        "customer_id", moment=pl.col("signup_date").cast(pl.Datetime("us"))
    )
    done = [
        tables.scan(f"silver.{fact}")
        .select("customer_id", moment="timestamp")
        .join(fresh.lazy(), on="customer_id", how="semi")
        for fact in FACTS
    ]
    later = told.filter(pl.col("valid_from").is_not_null()).select("customer_id", moment="valid_from")
    rows = pl.concat([fresh.lazy(), *done, later.lazy()]).drop_nulls()
    by_bucket = rows.group_by(bucket_of("customer_id", buckets).alias("bucket")).agg(pl.col("moment").min())
    return by_bucket.collect(engine="streaming").rows()
