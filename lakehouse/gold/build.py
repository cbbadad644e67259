"""Builds the gold tables: which as_ofs of which buckets are stale, their rows, and one commit per table."""

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import polars as pl

from lakehouse.errors import ConcurrentBuildError, ConfigurationError
from lakehouse.gold import customer_features, customer_totals, interactions, product_features, product_weeks
from lakehouse.gold.changes import ALWAYS, CLOCK, changes, clock_of
from lakehouse.gold.frozen_lake import FrozenLake
from lakehouse.gold.months import MONTH, month_start
from lakehouse.gold.product_weeks import Sold, added
from lakehouse.gold.tasks import (
    EXPOSURES,
    FEATURES,
    INTERACTIONS,
    PLACE,
    TOTALS,
    Part,
    Sales,
    Task,
    build_buckets,
    grouped,
)
from lakehouse.parallel import Run, side_by_side
from lakehouse.staging import StagedFile, partition_text
from lakehouse.storage import Lake
from lakehouse.wording import counted

RACES = 5
ROWS_AT_ONCE = 2_000_000
"""As many weeks of products are kept before they are added up."""
PRODUCTS, WEEKS = product_features.TABLE, product_weeks.TABLE
PARTITIONS = {table: ["bucket", place] for table, place in PLACE.items()}
PARTITIONS |= {PRODUCTS: ["as_of"], WEEKS: [MONTH]}
LAID_OUT = pl.Schema({"bucket": pl.Int32(), "as_of": pl.Datetime("us"), "month": pl.Date()})
"""Until a build gives a table its own schema, which Delta lets have timestamps only where this has."""


def label_as_ofs(table: str, first: datetime, clock: datetime) -> list[datetime]:
    """The moments of a table that training needs beside the data's clock."""
    if table == FEATURES:
        return customer_features.label_as_ofs(first, clock)
    earlier = clock - product_weeks.SPAN
    return [earlier] if table == PRODUCTS and earlier > first else []


def build_gold(
    lake: Lake,
    *,
    run: Run,
    as_of: Sequence[datetime] = (),
    labels: Collection[str] = (),
    progress: Callable[[str], None] | None = None,
) -> "Gold":
    """Bring gold up to date: its usual as_ofs, the given ones, and in the tables of `labels` those that labels need.

    Where another build was quicker, look again at what is left to do, for it may have seen less.

    Raises:
        ConfigurationError: an as_of lies outside the data.
        ConcurrentBuildError: others were quicker too often.
    """
    for _ in range(RACES):
        try:
            gold = Gold(lake, set(as_of), labels, progress or (lambda sentence: None))
            gold.build(run)
            return gold
        except ConcurrentBuildError as error:
            lost = error
    raise lost


class Gold:
    """One build of gold: knows what is stale, has it computed, and commits each table once."""

    def __init__(self, lake: Lake, extra: set[datetime], labels: Collection[str], say: Callable[[str], None]) -> None:
        frozen = FrozenLake.of(lake, made=PARTITIONS)
        there = frozen.versions.keys() & PARTITIONS
        if earlier := [table for table in there if frozen.partitioned_by(table) != PARTITIONS[table]]:
            for table in earlier:
                lake.repartition(table, LAID_OUT, PARTITIONS[table])
            frozen = FrozenLake.of(lake, made=PARTITIONS)
        self.frozen = frozen
        for moment in extra:
            if not frozen.first < moment <= frozen.clock:
                span = f"the data begins {frozen.first} and ends before {frozen.clock}"
                raise ConfigurationError(f"no features as of {moment}: {span}")
        self._lake, self._say, self._extra, self._labels = lake, say, extra, labels
        self._files = {table: frozen.files(table) for table in PARTITIONS}
        self.rows: dict[str, int] = {}
        sources = dict.fromkeys(PARTITIONS, tuple(frozen.state))
        sources |= {INTERACTIONS: interactions.SOURCES, WEEKS: product_weeks.SOURCES}
        self._changes = changes(frozen, sources, frozen.state)

    def build(self, run: Run) -> None:
        """Bring all tables up to date."""
        first, clock = self.frozen.first, self.frozen.clock
        usual = {FEATURES: customer_features.as_ofs(first, clock), PRODUCTS: [clock]}
        wanted = {table: self._wanted(table, moments) for table, moments in usual.items()}
        wanted[TOTALS] = set(customer_totals.as_ofs(first, clock))
        present = {table: _as_ofs(self._files[table]) for table in wanted}
        sales = self._sales(wanted[PRODUCTS], present[PRODUCTS])
        tasks = list(grouped(self._tasks(wanted, present, sales)))
        since, moments = (sales.since, sales.moments) if sales else (datetime.max, ())
        made: dict[str, list[Part]] = {table: [] for table in PLACE}
        sums: list[Sold] = []
        with ThreadPoolExecutor(1) as beside:  # while the tasks are at work
            earlier = beside.submit(self._earlier_weeks, since)
            for parts, some in run(partial(build_buckets, self.frozen), tasks):
                for table, part in parts.items():
                    made[table].append(part)
                sums += [some] if some else []
                if sum(each.weeks.height for each in sums) > ROWS_AT_ONCE:
                    sums = [added(sums)]
        total = added(sums) if sums else None
        weeks = product_weeks.continued(earlier.result(), total)
        latest = list(zip(moments, total.latest if total else (), strict=True))
        commits = [partial(self._products, weeks, latest, wanted[PRODUCTS]), partial(self._weeks, weeks, since)]
        commits += [partial(self._by_customer, table, made[table], wanted.get(table)) for table in PLACE]
        list(side_by_side(lambda commit: commit(), commits))

    def _tasks(
        self, wanted: dict[str, set[datetime]], present: dict[str, set[datetime]], sales: Sales | None
    ) -> Iterable[Task]:
        clock = self._clock(EXPOSURES)
        exposures = bool(self._changes[EXPOSURES].since) or clock != self.frozen.clock
        for bucket in range(self.frozen.buckets):
            since = {table: self._changes[table].since.get(bucket, datetime.max) for table in PLACE}
            as_ofs = _stale(wanted[FEATURES], present[FEATURES], since[FEATURES])
            totals = _stale(wanted[TOTALS], present[TOTALS], since[TOTALS])
            same = min(clock or ALWAYS, since[EXPOSURES], self.frozen.clock)  # a correction may put the clock back
            unchanged = None if same == ALWAYS else same
            latest = min(*as_ofs, *totals, unchanged or ALWAYS, since[TOTALS], datetime.max)
            base = max((moment for moment in present[TOTALS] if moment <= latest), default=None)
            days = self._changes[INTERACTIONS].since.get(bucket)
            yield Task((bucket,), as_ofs, totals, exposures, unchanged, days, base, sales)

    def _sales(self, wanted: set[datetime], present: set[datetime]) -> Sales | None:
        """What has to be known of sales: for the weeks that differ, and the as_ofs that products' features lack."""
        changed, weeks = self._changes[PRODUCTS], self._changes[WEEKS].earliest
        since = datetime.min if changed.products else changed.earliest or datetime.max
        moments = _stale(wanted, present, since)
        return Sales(weeks or datetime.max, moments) if moments or weeks else None

    def _by_customer(self, table: str, parts: Sequence[Part], wanted: Collection[datetime] | None) -> None:
        """Commit what tasks made of a table; of those with as_ofs, only the wanted ones stay."""
        kept = None if wanted is None else {partition_text(moment) for moment in wanted}
        gone = _replaced(self._files[table], PLACE[table], parts, kept)
        files = [file for part in parts for file in part.files]
        self._commit(table, parts[0].schema if parts else None, files, gone)

    def _earlier_weeks(self, since: datetime) -> pl.DataFrame:
        """Products' weeks before the first one that differs."""
        known = WEEKS in self.frozen.versions and since > ALWAYS
        return product_weeks.before(self.frozen.scan(WEEKS), since) if known else product_weeks.SCHEMA.to_frame()

    def _weeks(self, weeks: pl.DataFrame, since: datetime) -> None:
        """Commit products' weeks, from the month of the first one that differs on."""
        month = month_start(product_weeks.week_start(since)).date()
        stale = [file for file in self._files[WEEKS] if file.partition["month"] >= partition_text(month)]
        late = weeks.filter(pl.col("month") >= month).sort(product_weeks.KEY)
        self._commit(WEEKS, weeks.schema, self._stage(WEEKS, late), stale)

    def _products(
        self, weeks: pl.DataFrame, latest: Sequence[tuple[datetime, pl.DataFrame]], wanted: set[datetime]
    ) -> None:
        """Commit products' features as of moments with their latest sales; of the others the wanted ones stay."""
        products = self.frozen.scan("silver.products").collect()
        rows = [product_features.product_features(weeks, sold, products, moment) for moment, sold in latest]
        kept = {partition_text(moment) for moment in wanted - {moment for moment, _ in latest}}
        gone = [file for file in self._files[PRODUCTS] if file.partition["as_of"] not in kept]
        files = self._stage(PRODUCTS, pl.concat(rows)) if rows else []
        self._commit(PRODUCTS, rows[0].schema if rows else None, files, gone)

    def _stage(self, table: str, rows: pl.DataFrame) -> list[StagedFile]:
        return self._lake.stage(table, partition_by=PARTITIONS[table]).write(rows.lazy()) if rows.height else []

    def _wanted(self, table: str, usual: Sequence[datetime]) -> set[datetime]:
        """The usual as_ofs, those asked for now and before, and those of labels until the data's clock moves."""
        present = _as_ofs(self._files[table])
        wanted = set(usual) | self._extra
        recorded = self.frozen.transactions(table, [_asked(moment) for moment in present - wanted])
        wanted |= {moment for moment in present - wanted if recorded[_asked(moment)] is not None}
        of_labels = set(label_as_ofs(table, self.frozen.first, self.frozen.clock))
        if table in self._labels:
            wanted |= of_labels
        elif self._clock(table) == self.frozen.clock:
            wanted |= present & of_labels
        return wanted

    def _clock(self, table: str) -> datetime | None:
        return clock_of(self.frozen.transaction(table, CLOCK))

    def _commit(self, table: str, schema: pl.Schema | None, add: list[StagedFile], remove: list[StagedFile]) -> None:
        """One commit; none where nothing differs from what is there."""
        clock = int(self.frozen.clock.replace(tzinfo=UTC).timestamp())
        app = {**self.frozen.state, CLOCK: clock}
        if table != INTERACTIONS:
            app |= {_asked(moment): 1 for moment in self._extra}
        if not add and not remove and self.frozen.transactions(table, app) == app:
            return
        if schema is None:
            schema = self.frozen.scan(table).collect_schema()
        base = self.frozen.versions.get(table)
        anew = base is not None and len(remove) == len(self._files[table])
        gone, by = None if anew else remove, PARTITIONS[table]
        self._lake.commit(table, schema, add=add, remove=gone, partition_by=by, app=app, base=base)
        if add or remove:
            self.rows[table] = sum(file.rows for file in add)
            self._say(f"{table}: {counted(self.rows[table], 'row')} in {counted(len(add), 'file')}")


def _stale(wanted: set[datetime], present: set[datetime], since: datetime) -> tuple[datetime, ...]:
    """The moments that are not there, or see rows that differ."""
    return tuple(sorted(moment for moment in wanted if moment not in present or moment > since))


def _replaced(
    files: list[StagedFile], place: str, parts: Sequence[Part], kept: Collection[str] | None
) -> list[StagedFile]:
    """The files whose rows a build has made again, and those of places that are not wanted any more."""
    unwanted = [file for file in files if kept is not None and file.partition[place] not in kept]
    again = [file for file in files if any(part.replaces(file, place) for part in parts)]
    return list({file.path: file for file in (*unwanted, *again)}.values())


def _asked(moment: datetime) -> str:
    """Application id under which a commit records that somebody asked for an as_of."""
    return f"as_of/{moment}"


def present_as_ofs(lake: Lake, table: str) -> set[datetime]:
    """The moments that a table has; none where it does not exist."""
    return _as_ofs(lake.files(table))


def _as_ofs(files: Sequence[StagedFile]) -> set[datetime]:
    return {datetime.fromisoformat(file.partition["as_of"]) for file in files if "as_of" in file.partition}
