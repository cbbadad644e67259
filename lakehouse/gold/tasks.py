"""One task of a gold build: what some buckets of customers need to have made anew, and making it."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

import polars as pl

from lakehouse.gold import campaign_exposures, customer_features, customer_totals, interactions
from lakehouse.gold.before import Base
from lakehouse.gold.changes import ALWAYS
from lakehouse.gold.frozen_lake import FrozenLake
from lakehouse.gold.history import history, read_facts
from lakehouse.gold.months import MONTH, day_start, month_start
from lakehouse.gold.product_weeks import Sold, sold, week_start
from lakehouse.silver.split import bucket_of
from lakehouse.staging import StagedFile, partition_text

FEATURES, TOTALS = customer_features.TABLE, customer_totals.TABLE
EXPOSURES, INTERACTIONS = campaign_exposures.TABLE, interactions.TABLE
PLACE = {FEATURES: "as_of", TOTALS: "as_of", EXPOSURES: MONTH, INTERACTIONS: MONTH}
"""The tables by customer, and the column by which the files of a bucket are told apart."""
TOGETHER = 4
"""As many buckets are counted on from earlier totals in one task, since little of them is read."""


@dataclass(frozen=True)
class Sales:
    """Products' weeks from the one of `since` on, and their latest sales before each of the moments."""

    since: datetime
    moments: tuple[datetime, ...]

    @property
    def marked_since(self) -> datetime:
        """From when on lines have to be marked; those in the windows before it are there too."""
        return min(week_start(moment) for moment in (self.since, *self.moments))


@dataclass(frozen=True)
class Task:
    """What some buckets need.

    as_ofs: those of their features. totals: the moments that they are to be kept of for the next build. exposures:
    whether these are stale; what they say of the time up to `unchanged` holds, None where nothing does. since: from
    when on interactions differ, None where they do not. base: the moment of the totals that may be counted on from.
    sales: what is to be known of them, by all tasks alike.
    """

    buckets: tuple[int, ...]
    as_ofs: tuple[datetime, ...]
    totals: tuple[datetime, ...]
    exposures: bool
    unchanged: datetime | None
    since: datetime | None
    base: datetime | None
    sales: Sales | None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.as_ofs or self.totals or self.exposures or self.sales) and self.since is None


@dataclass(frozen=True)
class Part:
    """What a task staged of one table.

    Its files replace those of the same buckets whose place is one of `places`, or from `first` on, if it is not None.
    """

    buckets: tuple[int, ...]
    schema: pl.Schema
    files: list[StagedFile]
    places: Collection[str]
    first: str | None

    def replaces(self, file: StagedFile, place: str) -> bool:
        """Whether a file of the table goes."""
        here = file.partition[place]
        inside = here in self.places or (self.first is not None and here >= self.first)
        return inside and int(file.partition["bucket"]) in self.buckets


def grouped(tasks: Iterable[Task]) -> Iterator[Task]:
    """The tasks that have something to do; those that can be counted on from the same totals are put together."""

    def shared(task: Task) -> object:
        return (
            task.base,
            task.sales,
            task.as_ofs,
            task.totals,
            task.exposures,
            task.since is None,
            task.unchanged is None,
        )

    for _, alike in groupby((task for task in tasks if not task.idle), key=shared):
        some = list(alike)
        size = 1 if some[0].base is None else TOGETHER
        for start in range(0, len(some), size):
            yield _together(some[start : start + size])


def _together(tasks: list[Task]) -> Task:
    """One task for the buckets of all, which only differ in the moments up to which they are as they were."""
    unchanged = min((task.unchanged for task in tasks if task.unchanged), default=None)
    since = min((task.since for task in tasks if task.since), default=None)
    buckets = tuple(bucket for task in tasks for bucket in task.buckets)
    return replace(tasks[0], buckets=buckets, unchanged=unchanged, since=since)


def build_buckets(frozen: FrozenLake, task: Task) -> tuple[dict[str, Part], Sold | None]:
    """Stage the rows of each table that needs them, and tell what the buckets sold."""
    mine = pl.col("bucket").is_in(task.buckets)
    of_customers = bool(task.as_ofs or task.totals or task.exposures or task.sales)
    starts = [task.base or ALWAYS] if of_customers else []
    starts += [day_start(task.since)] if task.since else []
    facts = read_facts(frozen, task.buckets, min(starts), products=task.since is not None)
    found: dict[str, Part] = {}
    sales = None
    if of_customers:
        base = made = None
        if task.base:
            rows = frozen.scan(TOTALS).filter(mine, pl.col("as_of") == task.base)
            base = Base(task.base, rows.drop("bucket", "as_of").collect())
        if task.unchanged:
            made = campaign_exposures.Made(frozen.scan(EXPOSURES).filter(mine).drop("bucket"), task.unchanged)
        marked = task.sales.marked_since if task.sales else datetime.max
        past = history(frozen, facts, task.buckets, base=base, marked_since=marked)
        if task.as_ofs or task.totals:
            features, totals = customer_features.with_totals(past, task.as_ofs, task.totals)
            found[FEATURES] = _stage(frozen, task, FEATURES, features, places=task.as_ofs)
            found[TOTALS] = _stage(frozen, task, TOTALS, totals, places=task.totals)
        if task.exposures:
            exposures, months = campaign_exposures.campaign_exposures(past, made=made)
            found[EXPOSURES] = _stage(frozen, task, EXPOSURES, exposures, places=months, since=task.unchanged or ALWAYS)
        if task.sales:
            sales = sold(past.lines, task.sales.since, task.sales.moments)
    if task.since:
        earlier = None if task.since == ALWAYS else frozen.scan(INTERACTIONS).filter(mine)
        days = interactions.interactions(facts, task.since, made=earlier)
        found[INTERACTIONS] = _stage(frozen, task, INTERACTIONS, days, since=task.since)
    return found, sales


def _stage(
    frozen: FrozenLake,
    task: Task,
    table: str,
    rows: pl.DataFrame,
    *,
    places: Collection[object] = (),
    since: datetime | None = None,
) -> Part:
    rows = rows.with_columns(bucket_of("customer_id", frozen.buckets).alias("bucket"))
    stage = frozen.lake.stage(table, partition_by=["bucket", PLACE[table]])
    files = stage.write(rows.lazy()) if rows.height else []
    texts = {partition_text(place) for place in places}
    first = None if since is None else partition_text(month_start(since).date())
    return Part(task.buckets, rows.schema, files, texts, first)
