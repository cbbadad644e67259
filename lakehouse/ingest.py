"""Ingest: raw files into the bronze tables, as text, each file's content exactly once."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.erasures import Forgotten
from lakehouse.errors import ConcurrentBuildError, SourceError
from lakehouse.sources.csv import EXCEL_ROWS, CsvFile, CsvSource, Dialect
from lakehouse.storage import Lake
from lakehouse.wording import counted

Progress = Callable[[str], None]
SOURCES = "bronze.sources"
GENERATED = ("complete_journey", "synthetic")
FILE = "file_digest"
"""The partition of bronze: one for each file's content, and for each dialect that it was read in."""
LINEAGE = ("source_file", "source_line", "loaded_at")
"""Names a row's origin in bronze, silver and quarantine alike; `loaded_at` is one moment for all files of a run."""


@dataclass(frozen=True)
class IngestReport:
    """Rows committed by table in this run; 0 where the content was there already."""

    source: str
    rows: dict[str, int]

    @property
    def changed(self) -> bool:
        """Whether anything new was ingested."""
        return any(self.rows.values())


def ingest(
    lake: Lake, source: str | None = None, *, dialect: Dialect = "standard", progress: Progress | None = None
) -> IngestReport:
    """Load a source's files into bronze: "complete_journey", "synthetic", a folder, or an s3:// address.

    Without a source, the last one is offered again. All files are checked before the first is committed; a file whose
    content was committed before, in the same dialect, is left out. With the dialect "excel", dates may be
    `DD-MM-YYYY HH:MM` and the text `Null` stands for nothing; a file that was loaded in the wrong dialect is offered
    again in the right one, and its rows take the place of those that were there.

    Raises:
        SourceError: there was no source yet, or a file is missing, unreadable or not of the contract's shape.
        StorageError: the lake's storage failed; files that were committed stay, and the next ingest does the rest.
    """
    say = progress or (lambda sentence: None)
    lake.look([SOURCES, *(f"bronze.{table}" for table in TABLES)])
    if source is None:
        source, dialect = last_source(lake)
    known = frozenset(table for table in TABLES if lake.exists(f"bronze.{table}"))
    rows: dict[str, int] = {}
    loaded_at = datetime.now(UTC).replace(tzinfo=None)
    forgotten = Forgotten(lake)
    with lake.failures(), tempfile.TemporaryDirectory(prefix="shopsphere-ingest-") as scratch:
        reader = CsvSource(lake.settings, _folder(lake, source, say), scratch=Path(scratch), dialect=dialect)
        files = reader.files(known=known)
        if reader.ignored:
            say(f"ignored: {reader.ignored}; a file's name begins with its table's, as events-2024-05.csv")
        offer = {"source": [kept_name(source)], "offered_at": [loaded_at], "dialect": [dialect]}
        lake.append(SOURCES, pl.DataFrame(offer))  # before the rows: whose they are must be known if the run dies
        for file in files:
            count = _commit(lake, reader, file, loaded_at, forgotten)
            rows[file.table] = rows.get(file.table, 0) + (count or 0)
            said = "this content is there already" if count is None else counted(count, "row")
            say(f"bronze.{file.table}: {said} ({file.name})")
            if count == EXCEL_ROWS:
                say(f"{file.name} has {EXCEL_ROWS:,} rows, where Excel cuts a file off: check that it is whole")
    if forgotten.left_out:
        were = "was" if forgotten.left_out == 1 else "were"
        say(f"{counted(forgotten.left_out, 'row')} of forgotten customers {were} left out")
    return IngestReport(source, rows)


def last_source(lake: Lake) -> tuple[str, Dialect]:
    """The source that was ingested last, and its dialect.

    Raises:
        SourceError: nothing was ingested yet.
    """
    if not lake.exists(SOURCES):
        raise SourceError(f"nothing was ingested yet: name a source, {', '.join(GENERATED)} or a folder of CSVs")
    last = lake.scan(SOURCES).sort("offered_at").last().collect().row(0, named=True)
    return str(last["source"]), last.get("dialect") or "standard"


def offered(lake: Lake) -> list[str]:
    """The names under which sources were offered, the first one first; none where nothing was ingested."""
    if not lake.exists(SOURCES):
        return []
    offers = lake.scan(SOURCES).sort("offered_at").select("source").collect()
    return offers["source"].unique(maintain_order=True).to_list()


def kept_name(source: str) -> str:
    """How `bronze.sources` names a source: a folder by its whole path."""
    if source in GENERATED or source.startswith("s3://"):
        return source.rstrip("/")
    return str(Path(source).absolute())


def _folder(lake: Lake, source: str, say: Progress) -> str:
    """The folder of a source's CSVs; those of the generated sources are written first, once."""
    if source not in GENERATED:
        return source
    folder = lake.settings.var_dir / "raw" / source
    if not (folder / "transactions.csv").exists():  # the last one that is written
        say(f"writing the CSVs of {source} to {folder}")
        if source == "complete_journey":
            from lakehouse.sources import complete_journey

            complete_journey.write(folder)
        else:
            from lakehouse.sources import synthetic

            synthetic.write(folder)
    return str(folder)


def _commit(lake: Lake, reader: CsvSource, file: CsvFile, loaded_at: datetime, forgotten: Forgotten) -> int | None:
    """Write the file's rows, in pieces, and make them part of the table in one commit; None where they were before."""
    table, transaction = f"bronze.{file.table}", f"ingest/{file.content}"
    base = lake.version(table) if lake.exists(table) else None
    if lake.transaction(table, transaction) is not None:
        return None
    stage = lake.stage(table, partition={FILE: file.content})
    try:
        for rows in reader.read(file):
            origin = {
                "source_file": pl.lit(file.name),
                "loaded_at": pl.lit(loaded_at),
                "dialect": pl.lit(reader.dialect),
            }
            stage.write(forgotten.without(file.table, rows).with_columns(**origin))
    except (pl.exceptions.PolarsError, OSError) as error:
        detail = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise SourceError(f"cannot read {file.address}: {detail}; mend the file and ingest again") from error
    try:
        lake.commit(table, schema(file.table), add=stage.files, partition_by=[FILE], app={transaction: 1}, base=base)
    except ConcurrentBuildError:
        return None  # another ingest of the same content was quicker
    return sum(part.rows for part in stage.files)


def schema(table: str) -> pl.Schema:
    """The columns of a bronze table: text as it came, and where it came from."""
    return pl.Schema(
        dict.fromkeys(TABLES[table], pl.String)
        | {"source_line": pl.Int64, "malformed": pl.String, "raw": pl.String}
        | {"source_file": pl.String, "loaded_at": pl.Datetime("us"), "dialect": pl.String, FILE: pl.String}
    )
