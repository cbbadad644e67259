"""Ingest: five raw files into the bronze tables, as text, each file's content exactly once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from lakehouse.errors import SourceError
from lakehouse.sources.csv import CsvFile, CsvSource
from lakehouse.storage import Lake

Progress = Callable[[str], None]
SOURCES = "bronze.sources"
GENERATED = ("complete_journey", "synthetic")


@dataclass(frozen=True)
class IngestReport:
    """Rows committed by table in this run; 0 where the content was there already."""

    source: str
    rows: dict[str, int]

    @property
    def changed(self) -> bool:
        """Whether anything new was ingested."""
        return any(self.rows.values())


def ingest(lake: Lake, source: str | None = None, *, progress: Progress | None = None) -> IngestReport:
    """Load a source's five files into bronze: "complete_journey", "synthetic", a folder, or an s3:// address.

    Without a source, the last one is offered again. All files are checked before the first is committed; a file whose
    content was committed before is left out.

    Raises:
        SourceError: there was no source yet, or a file is missing, unreadable or not of the contract's shape.
    """
    say = progress or (lambda sentence: None)
    source = source or last_source(lake)
    reader = CsvSource(lake.settings, _folder(lake, source, say))
    files = reader.files()
    rows = {file.table: _commit(lake, reader, file) for file in files}
    for table, count in rows.items():
        say(f"bronze.{table}: " + (f"{count:,} rows" if count else "this content is there already"))
    lake.append(SOURCES, pl.DataFrame({"source": [_kept_name(source)], "offered_at": [_now()]}))
    return IngestReport(source, rows)


def last_source(lake: Lake) -> str:
    """The source that was ingested last.

    Raises:
        SourceError: nothing was ingested yet.
    """
    if not lake.exists(SOURCES):
        raise SourceError(f"nothing was ingested yet: name a source, {', '.join(GENERATED)} or a folder of five CSVs")
    return str(lake.scan(SOURCES).sort("offered_at").last().collect().item(0, "source"))


def _folder(lake: Lake, source: str, say: Progress) -> str:
    """The folder of a source's CSVs; those of the generated sources are written first, once."""
    if source not in GENERATED:
        return source
    folder = lake.settings.var_dir / "raw" / source
    if not (folder / "transactions.csv").exists():  # the last one that is written
        say(f"writing the five CSVs of {source} to {folder}")
        if source == "complete_journey":
            from lakehouse.sources import complete_journey

            complete_journey.write(folder)
        else:
            from lakehouse.sources import synthetic

            synthetic.write(folder)
    return str(folder)


def _commit(lake: Lake, reader: CsvSource, file: CsvFile) -> int:
    table, transaction = f"bronze.{file.table}", f"ingest/{file.digest}"
    if lake.transaction(table, transaction) is not None:
        return 0
    rows = reader.read(file).with_columns(loaded_at=pl.lit(_now()))
    lake.append(table, rows, app=(transaction, 1))
    return rows.height


def _kept_name(source: str) -> str:
    if source in GENERATED or source.startswith("s3://"):
        return source
    return str(Path(source).absolute())


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
