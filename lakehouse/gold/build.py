"""Builds the gold tables: which as_ofs of which buckets are stale, their rows, and one commit per table."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import polars as pl

from lakehouse.errors import ConcurrentBuildError, ConfigurationError
from lakehouse.gold import campaign_exposures, customer_features, interactions, product_features
from lakehouse.gold.changes import CLOCK, built_clock, changes, state
from lakehouse.gold.history import SOURCES, Silver, data_span, read_history
from lakehouse.parallel import Run
from lakehouse.silver.sidecars import BUCKETS
from lakehouse.staging import StagedFile, partition_text
from lakehouse.storage import Lake
from lakehouse.wording import counted

RACES = 5
EXPOSURES = campaign_exposures.TABLE
PARTITIONS = {
    customer_features.TABLE: ["bucket", "as_of"],
    EXPOSURES: ["bucket"],
    interactions.TABLE: ["bucket", "month"],
    product_features.TABLE: ["as_of"],
}


@dataclass(frozen=True)
class Bucket:
    """One task of a gold build.

    as_ofs: those that each table needs of the bucket. since: from when on its interactions differ, None where none do.
    exposures: whether that table is stale; rows of its version `kept` whose window ended by the moment `unchanged` are
    as they would be made again.
    """

    number: int
    as_ofs: dict[str, list[datetime]]
    since: datetime | None
    exposures: bool
    kept: int | None
    unchanged: datetime

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not any(self.as_ofs.values()) and self.since is None and not self.exposures


def label_as_ofs(table: str, first: datetime, clock: datetime) -> list[datetime]:
    """The moments of a table that training needs beside the data's clock."""
    if table == customer_features.TABLE:
        return customer_features.label_as_ofs(first, clock)
    earlier = clock - product_features.SPAN
    return [earlier] if table == product_features.TABLE and earlier > first else []


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


def build_bucket(silver: Silver, bucket: Bucket) -> dict[str, tuple[pl.Schema, list[StagedFile]]]:
    """Stage one bucket's rows of each table that needs them."""
    frames: dict[str, pl.DataFrame] = {}
    moments = bucket.as_ofs.get(customer_features.TABLE)
    if moments or bucket.exposures:
        history = read_history(silver, bucket.number)
        if moments:
            frames[customer_features.TABLE] = customer_features.customer_features(history, moments)
        if bucket.exposures:
            frames[EXPOSURES] = campaign_exposures.campaign_exposures(history, kept=_kept(silver.lake, bucket))
    if bucket.since is not None:
        frames[interactions.TABLE] = interactions.interactions(silver, bucket.number, bucket.since)
    return {table: _stage(silver.lake, table, frame, bucket.number) for table, frame in frames.items()}


def _kept(lake: Lake, bucket: Bucket) -> pl.DataFrame | None:
    if bucket.kept is None:
        return None
    mine = pl.col("bucket") == bucket.number
    closed = pl.max_horizontal("as_of", "window_end") <= bucket.unchanged
    return lake.scan(EXPOSURES, bucket.kept).filter(mine, closed).drop("bucket").collect()


def _stage(lake: Lake, table: str, frame: pl.DataFrame, bucket: int) -> tuple[pl.Schema, list[StagedFile]]:
    by = [name for name in PARTITIONS[table] if name != "bucket"]
    schema = pl.Schema({**frame.schema, "bucket": pl.Int32()})
    if frame.is_empty():
        return schema, []
    return schema, lake.stage(table, partition_by=by, partition={"bucket": bucket}).write(frame.lazy())


class Gold:
    """One build of gold: knows what is stale, has it computed, and commits each table once."""

    def __init__(self, lake: Lake, extra: set[datetime], labels: Collection[str], say: Callable[[str], None]) -> None:
        first, clock = data_span(lake)
        for moment in extra:
            if not first < moment <= clock:
                raise ConfigurationError(f"no features as of {moment}: the data begins {first} and ends before {clock}")
        self._lake, self._say, self._extra, self._labels = lake, say, extra, labels
        lake.repartition(interactions.TABLE, interactions.SCHEMA, PARTITIONS[interactions.TABLE])
        self._base = {table: lake.version(table) if lake.exists(table) else None for table in PARTITIONS}
        self._state = state(lake)
        versions = {table: lake.version(table) for table in SOURCES}
        self.silver = Silver(lake, versions, self._state[BUCKETS], first, clock)
        self.rows: dict[str, int] = {}
        self._changes = changes(lake, PARTITIONS, self._state)
        by_day = {name: self._state[name] for name in interactions.SOURCES} | interactions.LAYOUT
        self._changes |= changes(lake, [interactions.TABLE], by_day)

    def build(self, run: Run) -> None:
        """Bring all tables up to date."""
        first, clock = self.silver.first, self.silver.clock
        usual = {customer_features.TABLE: customer_features.as_ofs(first, clock), product_features.TABLE: [clock]}
        wanted = {table: self._wanted(table, moments) for table, moments in usual.items()}
        present = {table: present_as_ofs(self._lake, table) for table in usual}
        tasks = [task for task in self._tasks(wanted, present) if not task.idle]
        made: dict[str, list[StagedFile]] = {}
        schemas: dict[str, pl.Schema] = {}
        for part in run(partial(build_bucket, self.silver), tasks):
            for table, (schema, files) in part.items():
                schemas[table] = schema
                made.setdefault(table, []).extend(files)
        features, days = customer_features.TABLE, interactions.TABLE
        gone = {
            features: _stale_files(self._lake, features, wanted[features], tasks),
            days: interactions.stale_files(self._lake.files(days), self._changes[days].since),
        }
        for table, files in gone.items():
            self._commit(table, schemas.get(table), made.get(table, []), files)
        if any(task.exposures for task in tasks):
            self._commit(EXPOSURES, schemas[EXPOSURES], made.get(EXPOSURES, []), self._lake.files(EXPOSURES))
        self._products(run, wanted[product_features.TABLE], present[product_features.TABLE])

    def _tasks(self, wanted: dict[str, set[datetime]], present: dict[str, set[datetime]]) -> Iterable[Bucket]:
        exposed = self._exposures_stale()
        for number in range(self._state[BUCKETS]):
            table = customer_features.TABLE
            since = self._changes[table].since.get(number, datetime.max)
            as_ofs = {table: sorted(m for m in wanted[table] if m not in present[table] or m > since)}
            since = self._changes[EXPOSURES].since.get(number, datetime.max)
            known = min(since, self._clock(EXPOSURES) or datetime.min)
            kept = self._base[EXPOSURES] if known > datetime.min else None
            yield Bucket(number, as_ofs, self._changes[interactions.TABLE].since.get(number), exposed, kept, known)

    def _exposures_stale(self) -> bool:
        """Whether any changed; the clock decides which outcomes are known."""
        return bool(self._changes[EXPOSURES].since) or self._clock(EXPOSURES) != self.silver.clock

    def _products(self, run: Run, wanted: set[datetime], present: set[datetime]) -> None:
        table, changed = product_features.TABLE, self._changes[product_features.TABLE]
        since = datetime.min if changed.products else changed.earliest or datetime.max
        stale = sorted(moment for moment in wanted if moment not in present or moment > since)
        files: list[StagedFile] = []
        schema = None
        if stale:
            frame = product_features.product_features(self.silver, stale, run=run)
            schema = frame.schema
            files = self._lake.stage(table, partition_by=["as_of"]).write(frame.lazy())
        texts = {partition_text(moment) for moment in stale}
        kept = {partition_text(moment) for moment in wanted}
        gone = [f for f in self._lake.files(table) if f.partition["as_of"] in texts or f.partition["as_of"] not in kept]
        self._commit(table, schema, files, gone)

    def _wanted(self, table: str, usual: Sequence[datetime]) -> set[datetime]:
        """The usual as_ofs, those asked for now and before, and those of labels until the data's clock moves."""
        present = present_as_ofs(self._lake, table)
        asked = {moment for moment in present if self._lake.transaction(table, _asked(moment)) is not None}
        wanted = set(usual) | self._extra | asked
        of_labels = set(label_as_ofs(table, self.silver.first, self.silver.clock))
        if table in self._labels:
            wanted |= of_labels
        elif self._clock(table) == self.silver.clock:
            wanted |= present & of_labels
        return wanted

    def _clock(self, table: str) -> datetime | None:
        return built_clock(self._lake, table)

    def _commit(self, table: str, schema: pl.Schema | None, add: list[StagedFile], remove: list[StagedFile]) -> None:
        """One commit; none where nothing differs from what is there."""
        clock = int(self.silver.clock.replace(tzinfo=UTC).timestamp())
        app = self._state | {CLOCK: clock}
        app |= interactions.LAYOUT if table == interactions.TABLE else {_asked(moment): 1 for moment in self._extra}
        recorded = {name: self._lake.transaction(table, name) for name in app}
        if not add and not remove and recorded == app:
            return
        if schema is None:
            schema = self._lake.scan(table).collect_schema()
        anew = self._lake.exists(table) and len(remove) == len(self._lake.files(table))
        gone = None if anew else remove
        self._lake.commit(
            table, schema, add=add, remove=gone, partition_by=PARTITIONS[table], app=app, base=self._base[table]
        )
        if add or remove:
            self.rows[table] = sum(file.rows for file in add)
            self._say(f"{table}: {counted(self.rows[table], 'row')} in {counted(len(add), 'file')}")


def _stale_files(lake: Lake, table: str, wanted: set[datetime], tasks: list[Bucket]) -> list[StagedFile]:
    """The files that a build replaces, and those whose as_of is not wanted any more."""
    kept = {partition_text(moment) for moment in wanted}
    made = {(str(task.number), partition_text(moment)) for task in tasks for moment in task.as_ofs[table]}
    gone = []
    for file in lake.files(table):
        place = (file.partition["bucket"], file.partition["as_of"])
        if place in made or place[1] not in kept:
            gone.append(file)
    return gone


def _asked(moment: datetime) -> str:
    """Application id under which a commit records that somebody asked for an as_of."""
    return f"as_of/{moment}"


def present_as_ofs(lake: Lake, table: str) -> set[datetime]:
    """The moments that a table has; none where it does not exist."""
    return {datetime.fromisoformat(file.partition["as_of"]) for file in lake.files(table) if "as_of" in file.partition}
