"""Maintenance: many small files become few, and what no version needs any more goes; pinned versions stay readable.

It may run beside readers. A table that somebody else changes meanwhile is left as it is, and the error says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deltalake import DeltaTable

from lakehouse.pins import Pins
from lakehouse.silver.history import HISTORY
from lakehouse.silver.sidecars import settle
from lakehouse.staging import StagedFile
from lakehouse.storage import KEEP_LOG, Lake
from lakehouse.table_files import check_table, data_files, readable_versions, tables
from lakehouse.wording import counted

TARGET_BYTES = 100 << 20
"""A file that is this big is left alone."""
CROWDED = 2
"""A partition is z-ordered again when it has this many times the files that its bytes need."""
Z_ORDER: Mapping[str, Sequence[str]] = {
    "silver.customers": ["customer_id"],
    "silver.events": ["customer_id", "timestamp"],
    "silver.transactions": ["customer_id", "timestamp"],
    HISTORY: ["customer_id"],
}
"""What people filter silver by. Gold is written sorted, one file per partition, and the rest is read by time."""


@dataclass(frozen=True, kw_only=True)
class TableReport:
    """What was done to a table, or would be: `files_*` are those of the newest version, `deleted` those of none."""

    table: str
    files_before: int
    files_after: int
    deleted: int
    bytes_freed: int
    kept: Mapping[int, Sequence[str]]

    def line(self) -> str:
        """The report in one line, for people."""
        kept = "; ".join(f"version {version} kept for {', '.join(who)}" for version, who in self.kept.items())
        return (
            f"{self.table}: {counted(self.files_before, 'file')} -> {self.files_after:,}, "
            f"{counted(self.deleted, 'old file')} deleted, {counted(self.bytes_freed, 'byte')} freed"
            + (f"; {kept}" if kept else "")
        )


def maintain(
    lake: Lake,
    names: Sequence[str] = (),
    *,
    pins: Pins,
    dry_run: bool = False,
    progress: Callable[[str], None] | None = None,
) -> list[TableReport]:
    """Compact, checkpoint and vacuum the named tables, all where none is named; with `dry_run` only say what would go.

    Files of no version go when they are older than the retention: those of older versions, and those that a killed
    build staged. Versions in `pins` keep theirs.

    Raises:
        MissingTableError: there is no such table.
        ConcurrentBuildError: somebody else changed a table meanwhile; the tables before it are done.
    """
    for name in names:
        check_table(lake, name)
    if not dry_run:
        settle(lake)  # what a killed build staged beside its batch is part of a table from now on, and no leftover
    found = []
    for table in names or tables(lake):
        report = _maintain(lake, table, pins.get(table, {}), dry_run=dry_run)
        found.append(report)
        if progress:
            progress(report.line())
    return found


def _maintain(lake: Lake, table: str, pins: Mapping[int, Sequence[str]], *, dry_run: bool) -> TableReport:
    before = lake.files(table)
    kept = {version: list(pins[version]) for version in readable_versions(lake, table, pins)}
    after = _needed(table, before)
    if not dry_run:
        if kept:
            _keep_log(lake, table)
        if after < len(before):
            _compact(lake, table, before)
        lake.change(table, DeltaTable.create_checkpoint)
        after = len(lake.files(table))
    stored = data_files(lake, table)
    gone = vacuum(lake, table, keep=list(kept), dry_run=dry_run)
    return TableReport(
        table=table,
        files_before=len(before),
        files_after=after,
        deleted=len(gone),
        bytes_freed=sum(stored[path].size for path in gone if path in stored),
        kept=kept,
    )


def vacuum(lake: Lake, table: str, *, keep: Sequence[int], dry_run: bool) -> list[str]:
    """Delete the files older than the retention that neither the newest version nor those to keep need; their paths."""
    hours = 24 * lake.settings.retention_days
    return lake.change(
        table,
        lambda delta: delta.vacuum(
            retention_hours=hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,
            keep_versions=list(keep) or None,
        ),
    )


def _partitions(files: Sequence[StagedFile]) -> list[list[StagedFile]]:
    found: dict[tuple[tuple[str, str], ...], list[StagedFile]] = {}
    for file in files:
        found.setdefault(tuple(sorted(file.partition.items())), []).append(file)
    return list(found.values())


def _fewest(files: Sequence[StagedFile]) -> int:
    return 1 + sum(file.size for file in files) // TARGET_BYTES


def _crowded(table: str, files: Sequence[StagedFile]) -> bool:
    return len(files) >= CROWDED * _fewest(files) if table in Z_ORDER else len(files) > _fewest(files)


def _needed(table: str, files: Sequence[StagedFile]) -> int:
    """About how many files the rows need."""
    return sum(_fewest(part) if _crowded(table, part) else len(part) for part in _partitions(files))


def _compact(lake: Lake, table: str, files: Sequence[StagedFile]) -> None:
    """Within each partition: a build replaces whole partitions, however many files they have."""
    if table not in Z_ORDER:
        lake.change(table, lambda delta: delta.optimize.compact(target_size=TARGET_BYTES, max_concurrent_tasks=1))
        return
    for part in _partitions(files):
        if _crowded(table, part):
            where = [(name, "=", value) for name, value in part[0].partition.items()]
            lake.change(table, _z_order(table, where))


def _z_order(table: str, where: list[tuple[str, str, str]]) -> Callable[[DeltaTable], object]:
    return lambda delta: delta.optimize.z_order(
        Z_ORDER[table], partition_filters=where or None, target_size=TARGET_BYTES, max_concurrent_tasks=1
    )


def _keep_log(lake: Lake, table: str) -> None:
    """Tables that older releases made lose the log of old versions otherwise, see `KEEP_LOG`."""
    configuration = lake.delta(table).metadata().configuration
    if not KEEP_LOG.items() <= configuration.items():
        lake.change(table, lambda delta: delta.alter.set_table_properties(KEEP_LOG))
