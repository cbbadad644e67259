"""The one door to Delta: every table of the lake is read and committed through `Lake`."""

from collections.abc import Callable
from typing import Any, TypeVar

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.errors import MissingTableError, StorageError
from lakehouse.settings import Settings

T = TypeVar("T")


class Lake:
    """The Delta tables under one root, named as in SQL: `gold.customer_features`, `predictions`.

    Every commit is atomic: a reader sees a table before it or after it, never between.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.lake_uri
        self.storage_options = settings.storage_options

    def uri(self, table: str) -> str:
        """The folder or address of a table."""
        return f"{self.root}/{table.replace('.', '/')}"

    def exists(self, table: str) -> bool:
        """Whether the table was ever written."""
        return self._guard(lambda: DeltaTable.is_deltatable(self.uri(table), self.storage_options))

    def delta(self, table: str, version: int | None = None) -> DeltaTable:
        """The table at a version, the newest where none is given.

        Raises:
            MissingTableError: the table does not exist.
        """
        try:
            return self._guard(
                lambda: DeltaTable(self.uri(table), version=version, storage_options=self.storage_options)
            )
        except TableNotFoundError as error:
            raise MissingTableError(
                f"table {table!r} does not exist in {self.root}: run `shopsphere ingest` and `shopsphere build` first"
            ) from error

    def version(self, table: str) -> int:
        """The newest version of a table."""
        return int(self.delta(table).version())

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a table, lazily; filters and columns are pushed into the files."""
        return pl.scan_delta(self.delta(table, version), storage_options=self.storage_options or None)

    def transaction(self, table: str, app_id: str) -> int | None:
        """The newest transaction version that `app_id` committed to the table, or None."""
        return self.delta(table).transaction_version(app_id) if self.exists(table) else None

    def append(
        self, table: str, frame: pl.DataFrame, *, app: tuple[str, int] | None = None, partition_by: str | None = None
    ) -> None:
        """Append rows in one commit; with `app` (application id, version) the commit records that transaction.

        New columns are added to the table; missing ones are null.
        """
        self._write(
            table,
            frame,
            mode="append",
            schema_mode="merge",
            partition_by=partition_by,
            commit_properties=_commit(app),
        )

    def overwrite(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        predicate: str | None = None,
        partition_by: str | None = None,
        app: tuple[str, int] | None = None,
    ) -> None:
        """Replace the table, or the rows that match `predicate`, in one commit; `app` as in `append`.

        With a predicate on a table that does not exist yet, the rows make it.
        """
        whole = predicate is None or not self.exists(table)
        self._write(
            table,
            frame,
            mode="overwrite",
            schema_mode="overwrite" if whole else None,
            predicate=None if whole else predicate,
            partition_by=partition_by,
            commit_properties=_commit(app),
        )

    def _write(self, table: str, frame: pl.DataFrame, **options: Any) -> None:
        self._guard(
            lambda: write_deltalake(
                self.uri(table),
                frame,
                storage_options=self.storage_options or None,
                **{key: value for key, value in options.items() if value is not None},
            )
        )

    def _guard(self, call: Callable[[], T]) -> T:
        """Turn what the storage says into one line that names the lake and never a secret."""
        try:
            return call()
        except TableNotFoundError:
            raise
        except (DeltaError, OSError) as error:
            first_line = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise StorageError(
                f"cannot reach or write the lake at {self.root}: {first_line}; "
                "check LAKE_ROOT, AWS_ENDPOINT_URL and the credentials"
            ) from error


def _commit(app: tuple[str, int] | None) -> CommitProperties:
    return CommitProperties(app_transactions=[Transaction(app[0], app[1])] if app else None)
