"""The source `csv`: the contract's files in a folder or under an s3:// address, checked before anything is loaded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fsspec
import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.errors import SourceError
from lakehouse.failures import storage_failures
from lakehouse.settings import Settings
from lakehouse.sources import careful
from lakehouse.sources.scan import Shape, examine

Dialect = Literal["standard", "excel"]
DIALECTS: tuple[Dialect, ...] = ("standard", "excel")
EXCEL_ROWS = 1_048_575
SAMPLE = 10_000
DAY_FIRST = r"^\s*\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"


@dataclass(frozen=True)
class CsvFile:
    """One raw file of a source: the table it fills, where it is, where it can be read, and what its bytes look like."""

    table: str
    address: str
    path: Path
    shape: Shape

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.address.rpartition("/")[2]

    @property
    def digest(self) -> str:
        """Names the content, compressed or not."""
        return self.shape.digest


class CsvSource:
    """Finds, checks and reads a folder's `customers.csv`, `events.csv`, …; `events-2024-01.csv` and `.csv.gz` too.

    Compressed and remote files are copied to `scratch` first, in pieces.
    """

    def __init__(self, settings: Settings, folder: str, *, scratch: Path, dialect: Dialect = "standard") -> None:
        self.folder = folder.rstrip("/")
        self.dialect = dialect
        self._options = settings.s3fs_options if folder.startswith("s3://") else {}
        self._scratch = scratch

    def files(self, *, known: frozenset[str] = frozenset()) -> list[CsvFile]:
        """The folder's files by table and name, each with the contract's columns in any order.

        Only tables in `known` may lack a file.

        Raises:
            SourceError: a file is missing or unreadable, its columns are not the contract's, or its dates have the
                day first and were not declared.
        """
        names = self._names()
        found = [(table, name) for table in TABLES for name in names if re.fullmatch(_pattern(table), name)]
        missing = [table for table in TABLES if table not in known and table not in {table for table, _ in found}]
        if missing or not found:
            lacking = ", ".join(f"{table}.csv" for table in missing or TABLES)
            raise SourceError(
                f"{self.folder} has no {lacking}: a source is a folder with {', '.join(f'{n}.csv' for n in TABLES)}; "
                "once a table has data, later folders may leave it out"
            )
        return [self._check(table, name) for table, name in found]

    def read(self, file: CsvFile) -> Iterator[pl.LazyFrame]:
        """All rows as text in pieces: the contract's columns, `source_line` (the header is line 1), `malformed`, `raw`.

        A line that has no values for the columns has the reason in `malformed` and its text in `raw`.
        """
        if not file.shape.tidy:
            yield from careful.read(file.path, TABLES[file.table])
            return
        rows = self._scan(file).with_columns(pl.col("source_line").cast(pl.Int64))
        nothing = pl.lit(None, dtype=pl.String)
        yield rows.select(*TABLES[file.table], "source_line", malformed=nothing, raw=nothing)

    def _scan(self, file: CsvFile, **options: Any) -> pl.LazyFrame:
        return pl.scan_csv(
            file.path,
            infer_schema=False,
            row_index_name="source_line",
            row_index_offset=2,
            with_column_names=lambda names: [name.strip() for name in names],
            **options,
        )

    def _names(self) -> list[str]:
        try:
            if not self._options:
                return sorted(entry.name for entry in Path(self.folder).iterdir() if entry.is_file())
            with storage_failures(self.folder):
                system = fsspec.filesystem("s3", **self._options)
                return sorted(str(entry).rpartition("/")[2] for entry in system.ls(self.folder, detail=False))
        except NotADirectoryError as error:
            raise SourceError(f"{self.folder} is no folder: name the folder that the files are in") from error
        except FileNotFoundError as error:
            raise SourceError(f"{self.folder} does not exist: name a folder with the contract's CSVs") from error
        except OSError as error:
            raise SourceError(f"cannot list {self.folder}: {_first_line(error)}") from error

    def _check(self, table: str, name: str) -> CsvFile:
        address = f"{self.folder}/{name}"
        local = None if self._options or name.endswith(".gz") else Path(address)
        copy = None if local else self._scratch / name.removesuffix(".gz")
        try:
            with (
                storage_failures(self.folder),
                fsspec.open(address, "rb", compression="infer", **self._options) as stream,
            ):
                shape = examine(stream, copy_to=copy)
        except (OSError, EOFError, ValueError) as error:
            raise SourceError(f"cannot read {address}: {_first_line(error)}") from error
        if shape.encoding:
            raise SourceError(f"{address} is {shape.encoding}: save it as UTF-8 and ingest again")
        file = CsvFile(table, address, local or copy or Path(), shape)
        self._check_header(address, list(shape.header), list(TABLES[table]))
        self._check_dates(file)
        return file

    def _check_dates(self, file: CsvFile) -> None:
        """Refuse a file most of whose dates have the day first, unless that was declared."""
        columns = [name for name, column in TABLES[file.table].items() if column.kind in ("date", "timestamp")]
        if self.dialect == "excel" or not columns:
            return
        pieces = self.read(file) if not file.shape.tidy else iter([self._scan(file, n_rows=SAMPLE)])
        sample = (
            next(pieces, pl.LazyFrame(schema=dict.fromkeys(columns, pl.String))).select(columns).head(SAMPLE).collect()
        )
        for name in columns:
            values = sample[name].drop_nulls()
            day_first = values.filter(values.str.contains(DAY_FIRST))
            if 2 * len(day_first) > len(values):
                raise SourceError(
                    f"{file.address} writes {name} as {day_first[0]!r}: the contract is YYYY-MM-DD. "
                    "If that is DD-MM-YYYY, as Excel saves it, declare it with `--dialect excel`; nothing was loaded"
                )

    @staticmethod
    def _check_header(address: str, found: list[str], expected: list[str]) -> None:
        missing = [name for name in expected if name not in found]
        extra = [name for name in found if name not in expected]
        twice = sorted({name for name in found if found.count(name) > 1})
        faults = [
            f"{what} {', '.join(map(repr, names))}"
            for what, names in (("lacks", missing), ("has unknown", extra), ("repeats", twice))
            if names
        ]
        if faults:
            raise SourceError(f"{address} {' and '.join(faults)}: its columns must be {','.join(expected)}")


def _pattern(table: str) -> str:
    return rf"{table}([-_.].*)?\.csv(\.gz)?"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
