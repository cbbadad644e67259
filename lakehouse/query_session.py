"""What a person asks, statement by statement, on one connection: queries, `describe`, `show tables`, plans."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import duckdb
import polars as pl

from lakehouse.dictionary import tables
from lakehouse.errors import MissingTableError
from lakehouse.query import SqlError, add_views, named, run
from lakehouse.query_mistakes import READ_ONLY, changes_the_lake
from lakehouse.query_versions import check_moment, version_at
from lakehouse.storage import Lake

DESCRIBE = re.compile(r'\s*desc(?:ribe)?\s+(?:table\s+)?(?:main\.)?"?([\w.]+)"?\s*;?\s*', re.IGNORECASE)
SHOW_TABLES = re.compile(r"\s*(?:show\s+(?:all\s+)?tables|describe)\s*;?\s*", re.IGNORECASE)


class Session:
    """Each statement sees the lake as it is then, or as it was at the given versions or moment (see `connect`).

    Raises:
        VersionError: the moment has not come yet.
    """

    def __init__(self, lake: Lake, *, versions: Mapping[str, int] | None = None, at: datetime | None = None) -> None:
        if at is not None:
            check_moment(at)
        self._lake, self._versions, self._at = lake, dict(versions or {}), at
        self._connection = duckdb.connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self._connection.close()

    def statements(self, text: str) -> list[str]:
        """The statements of a text, without their semicolons.

        Raises:
            SqlError: it is no SQL.
        """
        try:
            return [statement.query.strip().rstrip(";") for statement in self._connection.extract_statements(text)]
        except duckdb.Error as error:
            raise SqlError(f"the query failed: {str(error).strip()}") from error

    def ask(
        self, statement: str, parameters: Mapping[str, Any] | None = None, *, limit: int | None = None
    ) -> pl.DataFrame:
        """The answer of one statement, its first rows where there is a limit.

        Raises:
            SqlError: DuckDB refuses it, or it would change the lake.
            VersionError: a table has no such version, or keeps it no more.
            MissingTableError: it asks which tables there are, and there is none yet.
        """
        if changes_the_lake(self._connection, statement):
            raise SqlError(READ_ONLY)
        if SHOW_TABLES.fullmatch(statement):
            return self._tables()
        absent = add_views(self._connection, self._lake, named(statement), versions=self._versions, at=self._at)
        described = DESCRIBE.fullmatch(statement)
        if described and described[1].lower() in tables().keys() - absent:
            return self._described(described[1].lower())
        return run(self._connection, statement, parameters, absent=absent, limit=limit)

    def explain(self, statement: str, parameters: Mapping[str, Any] | None = None) -> str:
        """DuckDB's plan of a statement, without running it.

        Raises:
            SqlError: DuckDB refuses it.
        """
        return str(self.ask(f"explain {statement}", parameters).item(0, "explain_value"))

    def value(self, expression: str) -> Any:
        """What an SQL expression over the lake is: a parameter's value.

        Raises:
            SqlError: it is none.
        """
        values = self.ask(f"select {expression} as value")["value"].to_list()
        return values[0]

    def _tables(self) -> pl.DataFrame:
        """The tables there are, with their grain."""
        there = [table for table in tables().values() if self._exists(table.name)]
        if not there and self._at is None:
            raise MissingTableError(f"nothing is in {self._lake.root} yet: run `shopsphere ingest` and `build` first")
        return pl.DataFrame(
            {"table": [table.name for table in there], "grain": [table.grain for table in there]},
            schema={"table": pl.String, "grain": pl.String},
        )

    def _exists(self, table: str) -> bool:
        then = None if table in self._versions else self._at
        return self._lake.exists(table) and (then is None or version_at(self._lake, table, then) is not None)

    def _described(self, table: str) -> pl.DataFrame:
        """A table's columns with type, unit and meaning."""
        columns = run(self._connection, f"describe {table}").select(column="column_name", type="column_type")
        told = tables()[table].columns
        meanings = [told.get(name) for name in columns["column"]]
        return columns.with_columns(
            unit=pl.Series([meaning.unit if meaning else "" for meaning in meanings], dtype=pl.String),
            meaning=pl.Series([meaning.text if meaning else "" for meaning in meanings], dtype=pl.String),
        )
