"""Removes a customer from the lake: `find` where they are, `remove` the rows, then `purge` the files that hold them.

Each table changes in one commit, bronze last: whenever the process dies, every table is readable, nothing that a
build would take for complete is half gone, and the same three steps again end it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
from deltalake import DeltaTable

from lakehouse.contracts import FACTS, TABLES
from lakehouse.errors import ShopSphereError
from lakehouse.gold.changes import CLOCK
from lakehouse.ingest import LINEAGE
from lakehouse.marks import MINE, Mark, marks
from lakehouse.naming import NAMING, CustomerId, in_raw
from lakehouse.silver.history import HISTORY
from lakehouse.silver.keys import KEYED
from lakehouse.silver.sidecars import BATCH, BUCKETS, CHANGES, changes, named, settle
from lakehouse.silver.split import QUARANTINE, bucket_of
from lakehouse.staging import StagedFile
from lakehouse.storage import Lake
from lakehouse.table_files import data_files, delete, log_files, readable_versions, tables

YOUNG = timedelta(hours=1)
"""A file of no version that is younger may belong to an ingest that is running, and nothing would stop its commit."""
LAST = (QUARANTINE, *(f"bronze.{table}" for table in NAMING))
"""Quarantine is told from bronze which rows are the customer's, so bronze goes after it."""
PATH = "_path"


class ForgetError(ShopSphereError):
    """A customer cannot be forgotten now."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Where a customer is in a table: `rows` in `holding`, files of the version `base`; `old` are files of others."""

    table: str
    base: int
    rows: int
    holding: tuple[StagedFile, ...]
    old: tuple[str, ...]
    mark: Mark

    @property
    def paths(self) -> set[str]:
        """All files that hold the customer."""
        return {file.path for file in self.holding} | set(self.old)


def find(lake: Lake, customer_id: CustomerId) -> list[Trace]:
    """The tables with files that hold the customer, in the order in which to remove them; old files count too.

    Raises:
        ForgetError: an ingest or a build seems to be running.
    """
    settle(lake)
    rejected = _in_bronze(lake, customer_id)
    found = [_trace(lake, table, customer_id, rejected) for table in tables(lake)]
    return sorted((trace for trace in found if trace), key=lambda trace: (trace.table in LAST, _last(trace)))


def remove(lake: Lake, traces: Iterable[Trace]) -> None:
    """Take the customer's rows out of the newest versions, one commit per table.

    Silver counts it as a batch of its own: the next build brings up to date what others' rows say of the customer's,
    such as a product's sales. A build that runs meanwhile loses the race instead of bringing the customer back.

    Raises:
        ConcurrentBuildError: somebody else changed a table meanwhile.
    """
    for trace in traces:
        added = [file for old in trace.holding for file in _without(lake, trace, old)]
        app, told = _batch(lake, trace)
        lake.commit(
            trace.table,
            lake.scan(trace.table, trace.base).collect_schema(),
            add=added,
            remove=trace.holding,
            partition_by=lake.delta(trace.table).metadata().partition_columns,
            app=app,
            metadata={"shopsphere": "forget", "data_erased": "all versions before"} | told,
            base=trace.base,
        )
        _, _, name = trace.table.partition(".")
        if trace.table == f"silver.{name}" and name in TABLES:
            settle(lake, [name])


def purge(lake: Lake, traces: Iterable[Trace]) -> None:
    """Delete the files that hold the customer, and the log of the versions that named them; `remove` goes before.

    The log goes too because it tells each file's smallest and largest ids.
    """
    for trace in traces:
        if not trace.paths:
            continue
        lake.change(trace.table, DeltaTable.create_checkpoint)
        bases = [v for path, v in log_files(lake, trace.table).items() if path.endswith(".checkpoint.parquet")]
        delete(lake, trace.table, [path for path, v in log_files(lake, trace.table).items() if v < max(bases)])
        delete(lake, trace.table, trace.paths)


def held(lake: Lake, traces: Iterable[Trace], wanted: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    """Which of the wanted versions of each table hold the customer, as far as they can be read still."""
    found = {}
    for trace in traces:
        versions = readable_versions(lake, trace.table, wanted.get(trace.table, ()))
        found[trace.table] = [v for v in versions if {f.path for f in lake.files(trace.table, v)} & trace.paths]
    return found


def _last(trace: Trace) -> int:
    return LAST.index(trace.table) if trace.table in LAST else 0


def _in_bronze(lake: Lake, customer_id: CustomerId) -> pl.DataFrame:
    """Table and lineage of the customer's rows as they came."""
    place = {
        "table": pl.String(),
        "source_file": pl.String(),
        "source_line": pl.Int64(),
        "loaded_at": pl.Datetime("us"),
    }
    parts = [pl.LazyFrame(schema=place)]
    for table in NAMING:
        if lake.exists(f"bronze.{table}"):
            mine = lake.scan(f"bronze.{table}").filter(in_raw([customer_id]))
            parts.append(mine.select(pl.lit(table).alias("table"), *LINEAGE))
    return pl.concat(parts).collect(engine="streaming")


def _trace(lake: Lake, table: str, customer_id: CustomerId, rejected: pl.DataFrame) -> Trace | None:
    base = lake.version(table)
    mark = marks(lake.scan(table, base).collect_schema().names(), table, customer_id, rejected)
    if mark is None:
        return None
    stored = data_files(lake, table)
    current = {file.path: file for file in lake.files(table, base)}
    rows = _rows_in(lake, table, mark, list(stored))
    expected = set(rejected["table"].unique())
    if not rows and table.removeprefix("silver.") not in expected:
        return None
    old = [path for path in rows if path not in current]
    if not table.startswith(("silver.", "gold.")):
        _check_nobody_writes(lake, table, [path for path in old if datetime.now(UTC) - stored[path].written_at < YOUNG])
    return Trace(
        table=table,
        base=base,
        rows=sum(count for path, count in rows.items() if path in current),
        holding=tuple(current[path] for path in rows if path in current),
        old=tuple(old),
        mark=mark,
    )


def _rows_in(lake: Lake, table: str, mark: Mark, paths: Sequence[str]) -> dict[str, int]:
    """The customer's rows by file; one that cannot be read, as its writer was killed, may hold them and counts as 1."""
    if not paths:
        return {}
    files = [StagedFile(path, 0, 0, {}) for path in paths]
    try:
        rows = mark(_read(lake, table, files)).filter(pl.col(MINE)).group_by(PATH).len().collect(engine="streaming")
    except pl.exceptions.PolarsError:
        if len(paths) == 1:
            return {paths[0]: 1}
        half = len(paths) // 2
        return _rows_in(lake, table, mark, paths[:half]) | _rows_in(lake, table, mark, paths[half:])
    start = f"{lake.uri(table)}/"
    return {str(path).removeprefix("file://").removeprefix(start): count for path, count in sorted(rows.iter_rows())}


def _read(lake: Lake, table: str, files: Sequence[StagedFile]) -> pl.LazyFrame:
    return lake.read_files(table, files, include_file_paths=PATH, missing_columns="insert", extra_columns="ignore")


def _check_nobody_writes(lake: Lake, table: str, young: Sequence[str]) -> None:
    if not young:
        return

    def gone(*, full: bool) -> set[str]:
        return set(
            lake.change(
                table, lambda d: d.vacuum(retention_hours=0, dry_run=True, enforce_retention_duration=False, full=full)
            )
        )

    if set(young) & (gone(full=True) - gone(full=False)):
        raise ForgetError(
            f"{table} has files with the customer that were written within the last hour and belong to no version: "
            "an ingest may be running. Let it end, or wait an hour after one was killed, and run this again"
        )


def _without(lake: Lake, trace: Trace, file: StagedFile) -> list[StagedFile]:
    """The file written again without the customer."""
    rows = trace.mark(lake.read_files(trace.table, [file])).filter(~pl.col(MINE)).drop(MINE)
    return lake.stage(trace.table, partition=file.partition).write(rows)


def _batch(lake: Lake, trace: Trace) -> tuple[dict[str, int], dict[str, str]]:
    """Application ids and metadata that make a build which runs meanwhile lose, and in silver a batch of the change."""
    layer, _, table = trace.table.partition(".")
    if layer == "gold" and (clock := lake.transaction(trace.table, CLOCK)) is not None:
        return {CLOCK: clock}, {}
    if trace.table != HISTORY and (layer != "silver" or table not in TABLES):
        return {}, {}
    number = (lake.transaction(trace.table, BATCH) or 0) + 1
    if trace.table == HISTORY:
        return {BATCH: number}, {}
    since = _since(lake, trace) if table in FACTS else {}
    staged = lake.stage(CHANGES).write(changes(table, number, since).lazy())
    keyed = {KEYED: number} if lake.transaction(trace.table, KEYED) == number - 1 else {}
    return {BATCH: number, **keyed}, named(number, {CHANGES: staged})


def _since(lake: Lake, trace: Trace) -> dict[int | None, datetime | None]:
    """From which moment on the customer's bucket says something else."""
    if not trace.holding:
        return {}
    buckets = lake.transaction(trace.table, BUCKETS) or 1
    mine = trace.mark(_read(lake, trace.table, trace.holding)).filter(pl.col(MINE))
    first = mine.group_by(bucket_of("customer_id", buckets).alias("bucket")).agg(pl.col("timestamp").min())
    return dict(first.collect().iter_rows())
