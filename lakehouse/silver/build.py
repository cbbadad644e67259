"""Builds silver from the bronze files that it has not seen yet; one commit per table says that a batch is there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from lakehouse.contracts import FACTS, OPTIONAL, TABLES, key_of
from lakehouse.frozen_tables import FrozenTables
from lakehouse.ingest import FILE
from lakehouse.parallel import Run, side_by_side
from lakehouse.silver.history import build_history
from lakehouse.silver.keys import KEYED, KEYS, blocks
from lakehouse.silver.sidecars import (
    BATCH,
    BUCKETS,
    CHANGES,
    CHECKS,
    REBUILT,
    SIDECARS,
    changes,
    checks,
    named,
    settle,
)
from lakehouse.silver.split import QUARANTINE, Dimensions, Piece, Split, bucket_of, schema, split
from lakehouse.silver.supersede import Superseded, quarantined, supersede
from lakehouse.staging import StagedFile
from lakehouse.storage import Lake
from lakehouse.wording import counted

LINES_PER_PIECE = 1_000_000
CROWDED = 4
"""A table is divided anew when its buckets hold this many times the rows that they should."""


@dataclass(frozen=True)
class SilverReport:
    """Good and quarantined rows of each table's new batch; a table without one is absent."""

    good: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)


def build_silver(lake: Lake, *, run: Run = side_by_side, progress: Callable[[str], None] | None = None) -> SilverReport:
    """Add the rows of bronze files that silver has not seen; `run` maps the splitting of pieces, like `map`.

    Raises:
        MissingTableError: nothing was ingested yet.
    """
    report = SilverReport()
    tables = [f"{layer}.{table}" for layer in ("bronze", "silver") for table in TABLES]
    now = FrozenTables.now(lake, [*tables, *SIDECARS])
    buckets = _buckets(now)
    present = [table for table in TABLES if table not in OPTIONAL or f"bronze.{table}" in now.versions]
    settle(lake, present, now=now)
    for together in (*([table] for table in present if table not in FACTS), FACTS):
        batches = [batch for table in together if (batch := _Batch(now, table, buckets)).due]
        if not batches:
            continue
        parts = _split(lake, run, batches)
        counts = list(side_by_side(partial(_built, parts), batches))
        settle(lake, [batch.table for batch in batches])
        for batch, (good, bad) in zip(batches, counts, strict=True):
            report.good[batch.table], report.quarantined[batch.table] = good, bad
            if progress:
                progress(f"silver.{batch.table}: {counted(good, 'good row')}, {bad:,} quarantined")
    build_history(lake)
    return report


def _built(parts: "dict[str, list[Split]]", batch: "_Batch") -> tuple[int, int]:
    return batch.build(parts[batch.table])


def _split(lake: Lake, run: Run, batches: "list[_Batch]") -> "dict[str, list[Split]]":
    """The pieces of all batches, split; the next batch's begin while the last ones of another are at work."""
    pieces = [piece for some in side_by_side(_Batch.pieces, batches) for piece in some]
    found: dict[str, list[Split]] = {batch.table: [] for batch in batches}
    for piece, part in zip(pieces, run(partial(split, lake, Dimensions(lake)), pieces), strict=True):
        found[piece.table].append(part)
    return found


def _buckets(now: FrozenTables) -> int:
    """Into how many buckets facts are divided: a power of two, more when they have become crowded."""
    rows = sum(file.rows for table in FACTS for file in now.files(f"bronze.{table}"))
    present = max(now.transaction(f"silver.{table}", BUCKETS) or 0 for table in FACTS)
    per_bucket = now.lake.settings.rows_per_bucket
    if present and rows <= CROWDED * present * per_bucket:
        return present
    return 1 << max(0, -(-rows // per_bucket) - 1).bit_length()


class _Batch:
    """The bronze files that one silver table lacks, on their way into it."""

    def __init__(self, now: FrozenTables, table: str, buckets: int) -> None:
        self.table, self._now, self._lake, self._buckets = table, now, now.lake, buckets
        self._silver = f"silver.{table}"
        self._base = now.versions.get(self._silver)
        self._bronze = now.version(f"bronze.{table}")
        self._files: dict[str, list[StagedFile]] = {}
        for part in now.files(f"bronze.{table}"):
            self._files.setdefault(part.partition[FILE], []).append(part)
        files = sorted(self._files)
        recorded = now.transactions(self._silver, [BATCH, BUCKETS, KEYED, *(f"bronze/{file}" for file in files)])
        self._number = (recorded[BATCH] or 0) + 1
        self._keyed = table in FACTS and recorded[KEYED] == recorded[BATCH]
        self.anew = table in FACTS and recorded[BUCKETS] not in (None, buckets)
        self.new = [file for file in files if self.anew or recorded[f"bronze/{file}"] is None]

    @property
    def due(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.new) or self.anew or self._base is None

    def build(self, parts: list[Split]) -> tuple[int, int]:
        """Supersede, stage what stands beside, commit; gives the new good rows and those put in quarantine.

        Raises:
            ConcurrentBuildError: another build has committed a batch of the table meanwhile.
        """
        lake, table, number = self._lake, self.table, self._number
        staged = [file for part in parts for file in part.good]
        keys = [file for part in parts for file in part.keys]
        old = [] if self.anew else self._now.files(self._silver)
        with TemporaryDirectory(prefix="shopsphere-build-") as scratch:
            result = supersede(lake, table, staged, old, told=keys, keyed=self._keyed, scratch=Path(scratch))
            quarantine = [file for part in parts for file in part.rejected]
            if result.rows is not None:
                quarantine += lake.stage(QUARANTINE).write(quarantined(result.rows, table, number))
            beside = {
                CHECKS: checks(table, number, _total(parts)),
                CHANGES: changes(table, number, self._since(result, staged, old)),
            }
            sidecars = {sidecar: lake.stage(sidecar).write(rows.lazy()) for sidecar, rows in beside.items()}
            if table in FACTS and not self._keyed:
                keys += self._keys_of(old)
            self._commit(number, result, sidecars | {QUARANTINE: quarantine, KEYS: keys})
        return sum(file.rows for file in staged) - result.new, sum(file.rows for file in quarantine)

    def _keys_of(self, files: list[StagedFile]) -> list[StagedFile]:
        """Stage the keys of files from when batches told of none."""
        found = []
        for file in files:
            keys = self._lake.read_files(self._silver, [file]).select(key_of(self.table)).collect().to_series()
            found += self._lake.stage(KEYS).write(blocks(keys, self.table, self._number).lazy())
        return found

    def pieces(self) -> list[Piece]:
        """What is to be split, some lines at a time."""
        found = []
        for file in self.new:
            rows = self._lake.read_files(f"bronze.{self.table}", self._files[file])
            dialect, source_file, loaded_at = (
                rows.select("dialect", "source_file", "loaded_at").head(1).collect().row(0)
            )
            number = pl.col("source_line")
            late = rows.filter(number > sum(part.rows for part in self._files[file]))  # lines are numbered from 2
            last = late.select(number.max()).collect().item()
            for first in range(2, last + 1, LINES_PER_PIECE):
                piece = Piece(
                    table=self.table,
                    file=file,
                    dialect=dialect,
                    version=self._bronze,
                    first_line=first,
                    last_line=first + LINES_PER_PIECE - 1,
                    batch=self._number,
                    buckets=self._buckets,
                    source_file=source_file,
                    loaded_at=loaded_at,
                )
                found.append(piece)
        return found

    def _commit(self, number: int, result: Superseded, sidecars: dict[str, list[StagedFile]]) -> None:
        app = {BATCH: number} | {f"bronze/{file}": 1 for file in self.new}
        if self.table in FACTS:
            app |= {BUCKETS: self._buckets, KEYED: number}
        if self.anew:
            app[REBUILT] = number
        self._lake.commit(
            self._silver,
            schema(self.table),
            add=result.add,
            remove=None if self.anew else result.remove,
            partition_by=["bucket"] if self.table in FACTS else [],
            app=app,
            metadata=named(number, sidecars),
            base=self._base,
        )

    def _since(
        self, result: Superseded, staged: list[StagedFile], old: list[StagedFile]
    ) -> dict[int | None, datetime | None]:
        """From which moment on the batch changes each bucket, see `sidecars.changes`."""
        if self.table in OPTIONAL:
            return {}
        if self.anew or not old:
            return {None: None}
        if self.table not in FACTS:
            return _dimension_since(self._lake, self.table, staged)
        found: dict[int | None, datetime | None] = {}
        came = [(int(file.partition["bucket"]), file.span[0]) for file in staged if file.span]
        for bucket, moment in (*came, *_moments_lost(result.rows, self._buckets)):
            found[bucket] = min(moment, found.get(bucket) or moment)
        return found


def _moments_lost(rows: pl.LazyFrame | None, buckets: int) -> list[tuple[int, datetime]]:
    if rows is None:
        return []
    lost = rows.group_by(bucket_of("customer_id", buckets).alias("bucket")).agg(pl.col("timestamp").min())
    return lost.collect(engine="streaming").rows()


def _dimension_since(lake: Lake, table: str, staged: list[StagedFile]) -> dict[int | None, datetime | None]:
    """The first fact that names a row of the dimension that is new or says something else now; none: no change.

    Customers have a history of their own.
    """
    if table == "customers" or not staged:
        return {}
    key, values = key_of(table), list(TABLES[table])
    told = (
        lake.read_files(f"silver.{table}", staged)
        .select(values)
        .join(lake.scan(f"silver.{table}").select(values), on=values, how="anti", nulls_equal=True)
    )
    changed = told.select(key).unique().collect()
    moments = []
    for fact in FACTS:
        if changed.height and lake.exists(f"silver.{fact}"):
            named = lake.scan(f"silver.{fact}").join(changed.lazy(), on=key, how="semi")
            moments.append(named.select(pl.col("timestamp").min()).collect(engine="streaming").item())
    since = min((moment for moment in moments if moment is not None), default=None)
    return {} if since is None else {None: since}


def _total(parts: list[Split]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for rule, count in part.counts.items():
            total[rule] = total.get(rule, 0) + count
    return total
