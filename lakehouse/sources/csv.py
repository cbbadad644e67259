"""The source `csv`: the contract's files in a folder or under an s3:// address, checked before anything is loaded."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fsspec
import polars as pl

from lakehouse import addresses
from lakehouse.contracts import REQUIRED, TABLES
from lakehouse.errors import SourceError
from lakehouse.failures import storage_failures
from lakehouse.settings import Settings
from lakehouse.sources import careful
from lakehouse.sources.dates import advice
from lakehouse.sources.header import check_header
from lakehouse.sources.names import ignored, table_of
from lakehouse.sources.scan import BINARY, Shape, examine

Dialect = Literal["standard", "excel"]
DIALECTS: tuple[Dialect, ...] = ("standard", "excel")
EXCEL_ROWS = 1_048_575
SAMPLE = 10_000


def content_id(digest: str, dialect: Dialect) -> str:
    """Names a content as it is read: under another dialect the same bytes are other rows."""
    return digest if dialect == "standard" else f"{digest}-{dialect}"


@dataclass(frozen=True)
class CsvFile:
    """One raw file: the table it fills, where it is, where it can be read, what its bytes look like, its dialect."""

    table: str
    address: str
    path: Path
    shape: Shape
    dialect: Dialect

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.address.rpartition("/")[2]

    @property
    def content(self) -> str:
        """Names what is read, whether it is compressed or not."""
        return content_id(self.shape.digest, self.dialect)


class CsvSource:
    """Finds, checks and reads a folder's `customers.csv`, `events.csv`, …; see `table_of` for other names.

    Compressed and remote files are copied to `scratch` first, in pieces. `ignored` names the files that look like
    data and are for no table, once `files` has looked.

    Raises:
        SourceError: the address names neither a folder nor a place in a bucket.
    """

    def __init__(self, settings: Settings, folder: str, *, scratch: Path, dialect: Dialect = "standard") -> None:
        try:
            self.folder = addresses.place(folder).rstrip("/") or "/"
        except ValueError as error:
            raise SourceError(str(error)) from error
        self.ignored = ""
        self.dialect = dialect
        self._options = settings.s3fs_options if folder.startswith("s3://") else {}
        self._scratch = scratch

    def files(self, *, known: frozenset[str] = frozenset()) -> list[CsvFile]:
        """The folder's files by table and name, each with the contract's columns in any order.

        Only tables in `known`, and those that a shop may lack, may lack a file.

        Raises:
            SourceError: a file is missing or unreadable, its columns are not the contract's, or its dates have the
                day first and were not declared.
        """
        names = self._names()
        self.ignored = ignored(names)
        found = sorted((list(TABLES).index(table), name) for name in names if (table := table_of(name)))
        tables = [(list(TABLES)[number], name) for number, name in found]
        missing = [table for table in REQUIRED if table not in known and table not in dict(tables)]
        if missing or not found:
            raise SourceError(self._lacking(missing if found else list(REQUIRED)))
        return [self._check(table, name) for table, name in tables]

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
            glob=False,
            infer_schema=False,
            row_index_name="source_line",
            row_index_offset=2,
            with_column_names=lambda names: [name.strip() for name in names],
            **options,
        )

    def _lacking(self, tables: list[str]) -> str:
        """What to say where files of tables are missing."""
        lacking = ", ".join(f"{table}.csv" for table in tables)
        reason = f"{self.folder} has no {lacking}"
        if len(tables) < len(REQUIRED):
            reason += "; a folder may leave out only what an earlier one brought"
        else:
            reason += f": name the folder that they are in{self._deeper()}"
        return reason + (f"; ignored: {self.ignored}" if self.ignored else "") + "; nothing was loaded"

    def _deeper(self) -> str:
        """What to name instead: a folder inside that has all tables' files, where there is one."""
        if self._options:
            return ""
        inside: dict[Path, set[str | None]] = {}
        for entry in Path(self.folder).glob("*/*"):  # passes over folders that may not be read
            inside.setdefault(entry.parent, set()).add(table_of(entry.name))
        whole = sorted(folder for folder, tables in inside.items() if tables.issuperset(REQUIRED))
        return f", {whole[0]}" if whole else ""

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
        packed = name.lower().endswith(".gz")
        local = None if self._options or packed else Path(address)
        copy = None if local else self._scratch / f"{name}.csv"
        try:
            with (
                storage_failures(self.folder),
                fsspec.open(address, "rb", compression="infer", **self._options) as stream,
            ):
                shape = examine(stream, copy_to=copy)
        except (OSError, EOFError, ValueError) as error:
            raise SourceError(f"cannot read {address}: {_first_line(error)}; nothing was loaded") from error
        if shape.encoding == BINARY:
            raise SourceError(f"{address} is not a CSV text file: save it as one, in UTF-8; nothing was loaded")
        if shape.encoding:
            raise SourceError(f"{address} is {shape.encoding}: save it as UTF-8 and ingest again; nothing was loaded")
        file = CsvFile(table, address, local or copy or Path(), shape, self.dialect)
        check_header(address, shape.header, tuple(TABLES[table]))
        self._check_dates(file)
        return file

    def _check_dates(self, file: CsvFile) -> None:
        """Refuse a file most of whose dates have a form that the dialect does not read."""
        columns = [name for name, column in TABLES[file.table].items() if column.kind in ("date", "timestamp")]
        if not columns:
            return
        pieces = self.read(file) if not file.shape.tidy else iter([self._scan(file, n_rows=SAMPLE)])
        sample = (
            next(pieces, pl.LazyFrame(schema=dict.fromkeys(columns, pl.String))).select(columns).head(SAMPLE).collect()
        )
        for name in columns:
            if found := advice(sample[name], self.dialect):
                raise SourceError(f"{file.address} writes {name} as {found[0]!r}: {found[1]}; nothing was loaded")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
