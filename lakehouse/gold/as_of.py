"""The rows of a gold table as of one moment: what servers look up, and what scores of everybody are computed from."""

from datetime import datetime

import polars as pl

from lakehouse.errors import MissingTableError
from lakehouse.gold import interactions
from lakehouse.gold.changes import built_clock
from lakehouse.storage import Lake


def newest_as_of(lake: Lake, table: str, *, version: int, up_to: datetime | None = None) -> datetime:
    """The newest as_of that a version of a table can tell of, at most the given moment.

    Raises:
        MissingTableError: there is none; it says what to do.
    """
    if table == interactions.TABLE:
        clock = built_clock(lake, table, version)
        found = clock and min(clock, up_to or clock)
    else:
        early = pl.lit(value=True) if up_to is None else pl.col("as_of") <= up_to
        found = lake.scan(table, version).filter(early).select(pl.col("as_of").max()).collect().item()
    if found is None:
        raise MissingTableError(
            f"{table} has no as_of up to {up_to}: run `shopsphere build --as-of {up_to:%Y-%m-%d}`"
            if up_to
            else f"{table} is empty: run `shopsphere build`"
        )
    return found


def rows_as_of(lake: Lake, table: str, as_of: datetime, *, version: int, bucket: int | None = None) -> pl.LazyFrame:
    """A table's rows as of a moment, all or those of a bucket; of interactions the totals before it.

    Raises:
        MissingTableError: the version is of an older layout.
    """
    rows = lake.scan(table, version)
    if bucket is not None:
        rows = rows.filter(pl.col("bucket") == bucket)
    if table == interactions.TABLE:
        return interactions.interactions_before(rows, as_of)
    return rows.filter(pl.col("as_of") == as_of)


def online_snapshot(
    lake: Lake, table: str, *, as_of: datetime | None = None, version: int | None = None
) -> tuple[pl.DataFrame, int, datetime]:
    """The rows of a gold table's newest as_of (at most the given one), with the Delta version and that as_of.

    Raises:
        MissingTableError: the table does not exist, or tells of nothing that early.
    """
    pinned = lake.version(table) if version is None else version
    newest = newest_as_of(lake, table, version=pinned, up_to=as_of)
    rows = rows_as_of(lake, table, newest, version=pinned).collect(engine="streaming")
    if rows.is_empty():
        raise MissingTableError(f"{table} has no rows before {newest}: load more history and run `shopsphere build`")
    return rows, pinned, newest
