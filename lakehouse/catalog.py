"""Writes SQL that makes the lake's tables views in a stock DuckDB, which needs nothing of this system for them."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, urlsplit

from lakehouse.dictionary import tables
from lakehouse.errors import ShopSphereError
from lakehouse.query import EMPTY, comments, connect, quoted, run
from lakehouse.settings import Settings
from lakehouse.staging import StagedFile
from lakehouse.storage import Lake

NULL = "__HIVE_DEFAULT_PARTITION__"
"""The folder of a partition whose value is null."""


class CatalogError(ShopSphereError):
    """A table's files do not lie where views over Parquet could read them."""


def catalog(lake: Lake, *, delta: bool = False, file: str = "lake.sql") -> str:
    """The statements, views and comments, for all tables there are; `file` is where they will be kept.

    A view reads the Parquet files of the table's version of now; with `delta` it reads the Delta log each time, which
    needs DuckDB's delta extension. For a lake on S3 the statement that gives DuckDB the keys is a template to fill in.

    Raises:
        CatalogError: a file lies outside the folder of its partition.
    """
    there = {table: lake.version(table) for table in tables() if lake.exists(table)}
    parts = [_head(lake.settings, delta=delta, file=file)]
    lacking = [table for table in EMPTY if table not in there] if there else []
    parts += [f"create schema if not exists {schema};" for schema in _schemas([*there, *lacking])]
    with connect(lake, versions=there) as connection:

        def columns_of(table: str) -> dict[str, str]:
            return dict(run(connection, f"describe {table}").select("column_name", "column_type").iter_rows())

        for table, version in there.items():
            columns = columns_of(table)
            source = f"delta_scan({quoted(lake.uri(table))})" if delta else _parquet(lake, table, version, columns)
            parts.append("\n".join(_view(table, columns, source, "" if delta else f"version {version}")))
        parts += ["\n".join(_view(table, columns_of(table), None, "which the shop lacks")) for table in lacking]
    return "\n\n".join(parts) + "\n"


def _schemas(names: Iterable[str]) -> list[str]:
    return sorted({table.partition(".")[0] for table in names if "." in table})


def _view(table: str, columns: Mapping[str, str], source: str | None, version: str) -> Iterator[str]:
    """The view of a table, empty without a source, and its comments."""
    schema, _, name = table.rpartition(".")
    view = f'"{schema or "main"}"."{name}"'
    if version:
        yield f"-- {table}, {version}"
    yield f"create or replace view {view} as"
    if source is None:
        nothing = ", ".join(f'null::{dtype} as "{column}"' for column, dtype in columns.items())
        yield f"select {nothing} where false;"
    else:
        shown = ", ".join(f'"{column}"' for column in columns)
        yield f"select {shown}\nfrom {source};"
    yield from (f"{statement};" for statement in comments(table, view, columns))


def _parquet(lake: Lake, table: str, version: int, columns: Mapping[str, str]) -> str | None:
    """The files of a version; partitions are read from their folders, with the types that the table has."""
    files = lake.files(table, version)
    if not files:
        return None
    for file in files:
        _check(table, file)
    partitions = {name: columns[name] for name in files[0].partition}
    types = ", ".join(f"{quoted(name)}: {dtype}" for name, dtype in partitions.items())
    hive = f"hive_partitioning = true, hive_types = {{{types}}}" if types else "hive_partitioning = false"
    paths = ",\n    ".join(quoted(f"{lake.uri(table)}/{file.path}") for file in files)
    return f"read_parquet([\n    {paths}\n], union_by_name = true, {hive})"


def _check(table: str, file: StagedFile) -> None:
    """Delta takes a partition's value from its log, a view from the folder's name: they have to say the same."""
    folders = dict(part.partition("=")[::2] for part in file.path.split("/")[:-1])
    for name, value in file.partition.items():
        if folders.get(name) not in (value, quote(value, safe=""), NULL):
            raise CatalogError(
                f"{table}: {file.path} lies outside the folder {name}={value}: write the catalog with --delta"
            )


def _head(settings: Settings, *, delta: bool, file: str) -> str:
    lines = [f"-- The lake in {settings.lake_uri}, as views for DuckDB: duckdb -init {shlex.quote(file)}"]
    if delta:
        lines.append("-- The views read Delta's log each time, so they follow the lake.")
    else:
        lines += [
            "-- The views read the versions named below; write the file again to see newer ones, and after",
            "-- `shopsphere forget` and `shopsphere maintain`, which delete files that it may name.",
        ]
    remote = settings.lake_uri.startswith("s3://")
    extensions = [name for name, needed in (("delta", delta), ("httpfs", remote)) if needed]
    if extensions:
        lines.append("-- DuckDB fetches these extensions from the internet, once:")
        lines += [f"install {name}; load {name};" for name in extensions]
    if remote:
        lines += ["-- Fill in the keys and take the dashes away:", secret_template(settings)]
    return "\n".join(lines)


def secret_template(settings: Settings) -> str:
    """The template of the statement that gives DuckDB access; it never holds the keys themselves."""
    options = ["type s3", "key_id 'YOUR KEY'", "secret 'YOUR SECRET'", f"region {quoted(settings.aws_region)}"]
    if settings.aws_endpoint_url:
        address = urlsplit(settings.aws_endpoint_url)
        place = address.netloc.rpartition("@")[2] + address.path.rstrip("/")
        options += [
            f"endpoint {quoted(place)}",
            "url_style 'path'",
            f"use_ssl {str(address.scheme == 'https').lower()}",
        ]
    return f"-- create secret lake ({', '.join(options)});"
