"""SQL over the lake: DuckDB with a view on every Delta table, bronze, silver, gold, predictions and metrics."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from lakehouse.contracts import OPTIONAL
from lakehouse.dictionary import tables
from lakehouse.errors import ShopSphereError
from lakehouse.query_mistakes import reason
from lakehouse.query_versions import scan_at
from lakehouse.silver.split import schema
from lakehouse.storage import Lake

CATALOGUE = re.compile(r"\b(show|information_schema|duckdb_\w+|pragma\w*|sqlite_master|pg_catalog)\b", re.IGNORECASE)
"""What asks for tables without naming them."""
EMPTY = {f"silver.{table}": schema(table) for table in OPTIONAL}
"""What a shop that lacks them has empty views of, so that one training set serves every shop."""


class SqlError(ShopSphereError):
    """A query that DuckDB does not accept, or that fails on the data."""


def connect(
    lake: Lake,
    *,
    query: str | None = None,
    versions: Mapping[str, int] | None = None,
    at: datetime | None = None,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a commented view on every table there is, or on those that a query names.

    `versions` pins tables to a Delta version; the others are read as they were `at` a moment, or now.
    Filters and columns are pushed down into the Delta files.

    Raises:
        VersionError: a table has no such version, or keeps it no more.
    """
    connection = duckdb.connect()
    add_views(connection, lake, tables() if query is None else named(query), versions=versions, at=at)
    return connection


def named(query: str) -> list[str]:
    """The tables whose names occur in a query; all of them where it asks what there is."""
    if CATALOGUE.search(query):
        return list(tables())
    words = set(re.findall(r"\w+", query.lower()))
    return [table for table in tables() if table.rpartition(".")[2] in words]


def add_views(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    names: Iterable[str],
    *,
    versions: Mapping[str, int] | None = None,
    at: datetime | None = None,
) -> list[str]:
    """Make, or make anew, the views on some tables; gives those that are not there, which have none.

    Raises:
        VersionError: a table has no such version, or keeps it no more.
    """
    absent = []
    for table in names:
        rows = scan_at(lake, table, versions=versions or {}, at=at)
        if rows is None and table in EMPTY:
            rows = pl.LazyFrame(schema=EMPTY[table])
        if rows is None:
            absent.append(table)
            continue
        layer, _, name = table.rpartition(".")
        registered = f"_{layer}_{name}"
        connection.register(registered, rows)
        view = f'"{layer or "main"}"."{name}"'
        connection.execute(f'create schema if not exists "{layer or "main"}"')
        connection.execute(f'create or replace view {view} as select * from "{registered}"')
        connection.execute("; ".join(comments(table, view, rows.collect_schema().names())))
    return absent


def comments(table: str, view: str, columns: Iterable[str]) -> list[str]:
    """The statements that tell DuckDB a table's grain and its columns' meanings."""
    entry = tables()[table]
    told = [f"comment on view {view} is {quoted(entry.grain)}"]
    known = [name for name in columns if name in entry.columns]
    return told + [f'comment on column {view}."{name}" is {quoted(str(entry.columns[name]))}' for name in known]


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def sql(
    lake: Lake,
    query: str,
    *,
    versions: Mapping[str, int] | None = None,
    at: datetime | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """The answer of one SQL statement, `$name` in it being a parameter; versions as in `connect`.

    Raises:
        SqlError: DuckDB refuses it; the message is DuckDB's, without a traceback.
        VersionError: a table has no such version, or keeps it no more.
    """
    with duckdb.connect() as connection:
        absent = add_views(connection, lake, named(query), versions=versions, at=at)
        return run(connection, query, parameters, absent=absent)


def run(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    absent: Iterable[str] = (),
    limit: int | None = None,
) -> pl.DataFrame:
    """The answer of one SQL statement on an open connection; empty for a statement that has none, such as SET.

    With a `limit`, its first rows. A failure names the one of the `absent` tables that the statement wants.

    Raises:
        SqlError: DuckDB refuses it.
    """
    try:
        relation = connection.sql(query, params=dict(parameters) if parameters else None) if query.strip() else None
        if relation is None:
            return pl.DataFrame()
        rows: pl.DataFrame = (relation if limit is None else relation.limit(limit)).pl()
        return rows
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        raise SqlError(f"the query failed: {reason(error, query, absent)}") from error
