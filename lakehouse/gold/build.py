"""Builds the gold tables: which as_ofs of which buckets are stale, their rows, and one commit per table."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import polars as pl

from lakehouse.errors import ConcurrentBuildError, ConfigurationError
from lakehouse.gold import campaign_exposures, customer_features, customer_totals, interactions, product_features
from lakehouse.gold.before import Base
from lakehouse.gold.changes import ALWAYS, changes, state
from lakehouse.gold.history import SOURCES, Silver, data_span, read_history
from lakehouse.parallel import Run
from lakehouse.silver.sidecars import BUCKETS
from lakehouse.staging import StagedFile, partition_text
from lakehouse.storage import Lake
from lakehouse.wording import counted

RACES = 5
CLOCK = "clock"
"""Application id under which a gold table's commit records the data's clock, in seconds since 1970."""
FEATURES, TOTALS, EXPOSURES = customer_features.TABLE, customer_totals.TABLE, campaign_exposures.TABLE
BY_CUSTOMER = (FEATURES, TOTALS, interactions.TABLE)
PLACE = dict.fromkeys(BY_CUSTOMER, "as_of") | {EXPOSURES: campaign_exposures.MONTH}
"""The column by which the files of a bucket are told apart."""


@dataclass(frozen=True)
class Bucket:
    """One task of a gold build.

    as_ofs: those that each table needs of the bucket. exposures: whether that table is stale; what it says of the time
    up to the moment `unchanged` holds, None where nothing does. base: the as_of of the totals that all of these can be
    counted on from.
    """

    number: int
    as_ofs: dict[str, list[datetime]]
    exposures: bool
    unchanged: datetime | None
    base: datetime | None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not any(self.as_ofs.values()) and not self.exposures


@dataclass(frozen=True)
class Part:
    """What a task staged of one table for its bucket, and the places whose files it replaces, None for all of them."""

    schema: pl.Schema
    files: list[StagedFile]
    places: set[str] | None


def label_as_ofs(table: str, first: datetime, clock: datetime) -> list[datetime]:
    """The moments of a table that training needs beside the data's clock."""
    if table == FEATURES:
        return customer_features.label_as_ofs(first, clock)
    earlier = clock - product_features.SPAN
    return [earlier] if table in (interactions.TABLE, product_features.TABLE) and earlier > first else []


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
        ConfigurationError: an as_of lies outside the data, or a table is laid out as an earlier version did it.
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


def build_bucket(silver: Silver, bucket: Bucket) -> dict[str, Part]:
    """Stage one bucket's rows of each table that needs them."""
    found: dict[str, Part] = {}

    def stage(table: str, frame: pl.DataFrame, places: Sequence[object] | None) -> None:
        schema = pl.Schema({**frame.schema, "bucket": pl.Int32()})
        to = silver.lake.stage(table, partition_by=[PLACE[table]], partition={"bucket": bucket.number})
        files = to.write(frame.lazy()) if frame.height else []
        found[table] = Part(schema, files, None if places is None else {partition_text(place) for place in places})

    of_table = {table: moments for table, moments in bucket.as_ofs.items() if moments}
    of_customers = of_table.keys() & {FEATURES, TOTALS}
    if of_customers or bucket.exposures:
        base, made = _base(silver, bucket), _made(silver, bucket)
        history = read_history(silver, bucket.number, base, made.holding if base and made else None)
        if of_customers:
            as_ofs = [of_table.get(table, []) for table in (FEATURES, TOTALS)]
            frames = customer_features.with_totals(history, *as_ofs)
            for table, frame, moments in zip((FEATURES, TOTALS), frames, as_ofs, strict=True):
                stage(table, frame, moments)
        if bucket.exposures:
            stage(EXPOSURES, *campaign_exposures.campaign_exposures(history, made=made))
    if interactions.TABLE in of_table:
        moments = of_table[interactions.TABLE]
        stage(interactions.TABLE, interactions.interactions(silver, bucket.number, moments), moments)
    return found


def _base(silver: Silver, bucket: Bucket) -> Base | None:
    if bucket.base is None:
        return None
    mine = (pl.col("bucket") == bucket.number) & (pl.col("as_of") == bucket.base)
    return Base(bucket.base, silver.scan(TOTALS).filter(mine).drop("bucket", "as_of").collect())


def _made(silver: Silver, bucket: Bucket) -> campaign_exposures.Made | None:
    if bucket.unchanged is None:
        return None
    mine = silver.scan(EXPOSURES).filter(pl.col("bucket") == bucket.number).drop("bucket")
    return campaign_exposures.Made.of(mine, bucket.unchanged)


class Gold:
    """One build of gold: knows what is stale, has it computed, and commits each table once."""

    def __init__(self, lake: Lake, extra: set[datetime], labels: Collection[str], say: Callable[[str], None]) -> None:
        first, clock = data_span(lake)
        for moment in extra:
            if not first < moment <= clock:
                raise ConfigurationError(f"no features as of {moment}: the data begins {first} and ends before {clock}")
        self._lake, self._say, self._extra, self._labels = lake, say, extra, labels
        tables = (*PLACE, product_features.TABLE)
        for table, place in PLACE.items():
            _check_layout(lake, table, place)
        self._base = {table: lake.version(table) if lake.exists(table) else None for table in tables}
        self._state = state(lake)
        versions = {table: lake.version(table) for table in SOURCES}
        versions |= {table: version for table, version in self._base.items() if version is not None}
        self.silver = Silver(lake, versions, self._state[BUCKETS], first, clock)
        self.rows: dict[str, int] = {}
        self._changes = changes(lake, tables, self._state)

    def build(self, run: Run) -> None:
        """Bring all tables up to date."""
        first, clock = self.silver.first, self.silver.clock
        usual = {
            FEATURES: customer_features.as_ofs(first, clock),
            TOTALS: customer_totals.as_ofs(clock),
            interactions.TABLE: [clock],
            product_features.TABLE: [clock],
        }
        wanted = {table: self._wanted(table, moments) for table, moments in usual.items()}
        present = {table: present_as_ofs(self._lake, table) for table in usual}
        tasks = [task for task in self._tasks(wanted, present) if not task.idle]
        made: dict[str, dict[str, Part]] = {table: {} for table in PLACE}
        for task, parts in zip(tasks, run(partial(build_bucket, self.silver), tasks), strict=True):
            for table, part in parts.items():
                made[table][str(task.number)] = part
        for table in PLACE:
            kept = {partition_text(moment) for moment in wanted[table]} if table in wanted else None
            gone = _replaced(self._lake.files(table), PLACE[table], made[table], kept)
            files = [file for part in made[table].values() for file in part.files]
            schema = next((part.schema for part in made[table].values()), None)
            self._commit(table, schema, files, gone)
        self._products(run, wanted[product_features.TABLE], present[product_features.TABLE])

    def _tasks(self, wanted: dict[str, set[datetime]], present: dict[str, set[datetime]]) -> Iterable[Bucket]:
        exposed = self._exposures_stale()
        for number in range(self._state[BUCKETS]):
            as_ofs = {}
            for table in BY_CUSTOMER:
                since = self._since(table, number)
                as_ofs[table] = sorted(m for m in wanted[table] if m not in present[table] or m > since)
            clock, since = self._clock(EXPOSURES), self._since(EXPOSURES, number)
            unchanged = None if clock is None or since == ALWAYS else min(clock, since)
            latest = min((*as_ofs[FEATURES], *as_ofs[TOTALS]), default=datetime.max)
            latest = min(latest, unchanged or ALWAYS, self._since(TOTALS, number))
            base = max((moment for moment in present[TOTALS] if moment <= latest), default=None)
            yield Bucket(number, as_ofs, exposed, unchanged, base)

    def _since(self, table: str, bucket: int) -> datetime:
        """The moment from which on a bucket's history differs from what the table was built of."""
        return self._changes[table].since.get(bucket, datetime.max)

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
        if table == TOTALS:
            return set(usual)
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
        seconds = self._lake.transaction(table, CLOCK)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)

    def _commit(self, table: str, schema: pl.Schema | None, add: list[StagedFile], remove: list[StagedFile]) -> None:
        """One commit; none where nothing differs from what is there."""
        clock = int(self.silver.clock.replace(tzinfo=UTC).timestamp())
        app = self._state | {CLOCK: clock} | {_asked(moment): 1 for moment in self._extra}
        recorded = {name: self._lake.transaction(table, name) for name in app}
        if not add and not remove and recorded == app:
            return
        if schema is None:
            schema = self._lake.scan(table).collect_schema()
        by = ["bucket", PLACE[table]] if table in PLACE else ["as_of"]
        anew = self._lake.exists(table) and len(remove) == len(self._lake.files(table))
        gone = None if anew else remove
        self._lake.commit(table, schema, add=add, remove=gone, partition_by=by, app=app, base=self._base[table])
        if add or remove:
            self.rows[table] = sum(file.rows for file in add)
            self._say(f"{table}: {counted(self.rows[table], 'row')} in {counted(len(add), 'file')}")


def _replaced(
    files: list[StagedFile], place: str, made: Mapping[str, Part], kept: Collection[str] | None
) -> list[StagedFile]:
    """The files whose rows a build has made again, and those of places that are not wanted any more."""

    def gone(file: StagedFile) -> bool:
        part, here = made.get(file.partition["bucket"]), file.partition[place]
        again = part is not None and (part.places is None or here in part.places)
        return again or (kept is not None and here not in kept)

    return [file for file in files if gone(file)]


def _check_layout(lake: Lake, table: str, place: str) -> None:
    files = lake.files(table)
    if files and files[0].partition.keys() != {"bucket", place}:
        raise ConfigurationError(
            f"{table} was stored by an earlier version of ShopSphere, in another way: delete {lake.uri(table)}, which "
            "is made of silver alone, and run `shopsphere build` again"
        )


def _asked(moment: datetime) -> str:
    """Application id under which a commit records that somebody asked for an as_of."""
    return f"as_of/{moment}"


def present_as_ofs(lake: Lake, table: str) -> set[datetime]:
    """The moments that a table has; none where it does not exist."""
    return {datetime.fromisoformat(file.partition["as_of"]) for file in lake.files(table) if "as_of" in file.partition}
