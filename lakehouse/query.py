"""SQL over the lake: DuckDB with a view on every Delta table, bronze, silver, gold, predictions and metrics."""

from collections.abc import Mapping
from datetime import datetime

import duckdb
import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.errors import MissingTableError, ShopSphereError
from lakehouse.storage import Lake

QUERYABLE = (
    *(f"bronze.{table}" for table in TABLES),
    *(f"silver.{table}" for table in TABLES),
    "silver.quarantine",
    "gold.customer_features",
    "gold.product_features",
    "gold.campaign_exposures",
    "gold.interactions",
    "predictions",
    "metrics",
    "promotions",
)


class SqlError(ShopSphereError):
    """A query that DuckDB does not accept, or that fails on the data."""


def connect(lake: Lake, *, versions: Mapping[str, int] | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view on every table there is; `versions` pins tables to a Delta version.

    Filters and columns are pushed down into the Delta files.
    """
    connection = duckdb.connect()
    for table in QUERYABLE:
        if not lake.exists(table):
            continue
        schema, _, name = table.rpartition(".")
        if schema:
            connection.execute(f"create schema if not exists {schema}")
        registered = f"_{schema}_{name}"
        connection.register(registered, lake.scan(table, (versions or {}).get(table)))
        connection.execute(f'create view {schema or "main"}."{name}" as select * from "{registered}"')
    return connection


def sql(lake: Lake, query: str) -> pl.DataFrame:
    """The answer of one SQL statement.

    Raises:
        SqlError: DuckDB refuses it; the message is DuckDB's, without a traceback.
    """
    with connect(lake) as connection:
        return run(connection, query)


def run(connection: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    """The answer of one SQL statement on an open connection.

    Raises:
        SqlError: DuckDB refuses it.
    """
    try:
        return connection.sql(query).pl() if query.strip() else pl.DataFrame()
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        raise SqlError(f"the query failed: {str(error).strip()}") from error
    except AttributeError as error:  # a statement without an answer, such as SET, gives None
        raise SqlError("the statement gives no rows: ask with SELECT, DESCRIBE or SHOW TABLES") from error


def online_snapshot(
    lake: Lake, table: str, *, as_of: datetime | None = None, version: int | None = None
) -> tuple[pl.DataFrame, int, datetime]:
    """The rows of a gold table's newest as_of (at most the given one), with the Delta version and that as_of.

    Raises:
        MissingTableError: the table does not exist, or has no as_of that early.
    """
    pinned = lake.version(table) if version is None else version
    bound = "" if as_of is None else f"where as_of <= timestamp '{as_of}'"
    with connect(lake, versions={table: pinned}) as connection:
        newest: datetime | None = run(connection, f"select max(as_of) as newest from {table} {bound}").item()
        if newest is None:
            raise MissingTableError(
                f"{table} has no as_of up to {as_of}: run `shopsphere build --as-of {as_of:%Y-%m-%d}`"
                if as_of
                else f"{table} is empty: run `shopsphere build`"
            )
        return run(connection, f"select * from {table} where as_of = timestamp '{newest}'"), pinned, newest
