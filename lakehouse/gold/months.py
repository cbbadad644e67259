"""Days and months, by which gold's tables are counted and stored."""

from datetime import datetime, timedelta

import polars as pl

DAY = timedelta(days=1)
MONTH = "month"
"""The partition of tables that are stored by month: its first day."""


def month_of(moment: str) -> pl.Expr:
    """The first day of the month of a column's moment or day."""
    return pl.col(moment).cast(pl.Date).dt.month_start().alias(MONTH)


def day_start(moment: datetime) -> datetime:
    """The midnight at or before a moment."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def month_start(moment: datetime) -> datetime:
    """The first midnight of a moment's month."""
    return day_start(moment).replace(day=1)


def month_starts(first: datetime, clock: datetime) -> list[datetime]:
    """The first midnights of the months after `first`, up to the clock."""
    months = pl.datetime_range(month_start(first), clock, "1mo", eager=True)
    return [month for month in months.to_list() if first < month <= clock]
