"""The source `csv`: five contract files in a folder or under an s3:// address, checked before anything is loaded."""

import csv
import hashlib
from dataclasses import dataclass
from typing import Any

import fsspec
import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.errors import SourceError
from lakehouse.settings import Settings

CHUNK = 1 << 22


@dataclass(frozen=True)
class CsvFile:
    """One raw file of a source: the table it fills, its address and the SHA-256 of its content."""

    table: str
    address: str
    digest: str

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.address.rpartition("/")[2]


class CsvSource:
    """Finds, checks and reads the five files `customers.csv`, `products.csv`, … of a folder."""

    def __init__(self, settings: Settings, folder: str) -> None:
        self.folder = folder.rstrip("/")
        self._options = s3_options(settings) if folder.startswith("s3://") else {}

    def files(self) -> list[CsvFile]:
        """The five files, each with the contract's columns in any order.

        Raises:
            SourceError: a file is missing or unreadable, or a column is missing, extra or named twice.
        """
        return [self._check(table) for table in TABLES]

    def read(self, file: CsvFile) -> pl.DataFrame:
        """All rows as text, with `source_file` and `source_line` (counted from 1, the header is line 1).

        Raises:
            SourceError: the file is no valid UTF-8 CSV, or a line has too many fields.
        """
        names = list(TABLES[file.table])
        try:
            with fsspec.open(file.address, "rb", **self._options) as stream:
                rows = pl.read_csv(stream, infer_schema=False, row_index_name="source_line", row_index_offset=2)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(
                f"cannot read {file.address}: {_first_line(error)}; mend the file and ingest again"
            ) from error
        return rows.select(*names, pl.lit(file.name).alias("source_file"), pl.col("source_line").cast(pl.Int64))

    def _check(self, table: str) -> CsvFile:
        address = f"{self.folder}/{table}.csv"
        digest = hashlib.sha256()
        try:
            with fsspec.open(address, "rb", **self._options) as stream:
                header = stream.readline()
                digest.update(header)
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
            found = next(csv.reader([header.decode("utf-8-sig")]), [])
        except FileNotFoundError as error:
            raise SourceError(
                f"{address} does not exist: a source is a folder with {', '.join(f'{name}.csv' for name in TABLES)}"
            ) from error
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise SourceError(f"cannot read {address}: {_first_line(error)}") from error
        self._check_header(address, [name.strip() for name in found], list(TABLES[table]))
        return CsvFile(table, address, digest.hexdigest())

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


def s3_options(settings: Settings) -> dict[str, Any]:
    """What fsspec needs to reach the S3 store of the settings."""
    options: dict[str, Any] = {"client_kwargs": {"region_name": settings.aws_region}}
    if settings.aws_endpoint_url:
        options["endpoint_url"] = settings.aws_endpoint_url
    if settings.aws_access_key_id and settings.aws_secret_access_key:
        options["key"] = settings.aws_access_key_id.get_secret_value()
        options["secret"] = settings.aws_secret_access_key.get_secret_value()
    return options


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
