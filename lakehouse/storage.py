"""The one door to Delta: every table of the lake is read and committed through `Lake`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.errors import MissingTableError, StorageError
from lakehouse.settings import Settings
from lakehouse.staging import Stage, StagedFile, partition_text

T = TypeVar("T")
KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}
"""Otherwise a checkpoint deletes the log of versions older than 30 days, and what pins them pins nothing readable."""


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
        self, table: str, frame: pl.DataFrame, *, app: Mapping[str, int] | None = None, partition_by: str | None = None
    ) -> None:
        """Append rows in one commit; `app` (application id: version) is recorded with the commit.

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
        app: Mapping[str, int] | None = None,
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

    def delete(self, table: str, predicate: str) -> None:
        """Delete the rows that match an SQL predicate, in one commit."""
        self._guard(lambda: self.delta(table).delete(predicate))

    def change(self, table: str, work: Callable[[DeltaTable], T]) -> T:
        """What `work` gives for the newest version of a table: maintenance that neither adds nor removes rows."""
        return self._guard(lambda: work(self.delta(table)))

    def stage(
        self, table: str, *, partition_by: Sequence[str] = (), partition: Mapping[str, object] | None = None
    ) -> Stage:
        """A stage for new files of the table, which `commit` makes part of it."""
        return Stage(self.uri(table), self.storage_options, partition_by=partition_by, partition=partition)

    def files(self, table: str, version: int | None = None) -> list[StagedFile]:
        """The data files of a version; none where the table does not exist."""
        if version is None and not self.exists(table):
            return []
        actions = pl.DataFrame(self.delta(table, version).get_add_actions(flatten=False))
        return [_staged(row) for row in actions.iter_rows(named=True)]

    def read_files(self, table: str, files: Sequence[StagedFile], **options: Any) -> pl.LazyFrame:
        """The rows of some of a table's files, committed or not, without the partition's columns."""
        return pl.scan_parquet(
            [f"{self.uri(table)}/{file.path}" for file in files],
            storage_options=self.storage_options or None,
            hive_partitioning=False,
            glob=False,
            **options,
        )

    def commit(
        self,
        table: str,
        schema: pl.Schema,
        *,
        add: Sequence[StagedFile] = (),
        remove: Sequence[StagedFile] | None = (),
        partition_by: Sequence[str] = (),
        app: Mapping[str, int] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Change a table in one commit: files added, files removed (all of them where `remove` is None).

        `schema` is the table's, partition columns included; `app` and `metadata` are recorded with the commit.

        Raises:
            ConcurrentBuildError: somebody else committed under one of the application ids meanwhile.
        """
        arrow = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        if not self.exists(table):
            self._guard(
                lambda: DeltaTable.create(
                    self.uri(table),
                    schema=arrow,
                    partition_by=list(partition_by) or None,
                    mode="ignore",
                    configuration=KEEP_LOG,
                    storage_options=self.storage_options or None,
                )
            )
        delta = self.delta(table)
        removed = [file.remove() for file in remove or ()]
        self._guard(
            lambda: delta.create_write_transaction(
                [*(file.add() for file in add), *removed],
                "overwrite" if remove is None else "append",
                arrow,
                list(partition_by) or None,
                commit_properties=_commit(app, metadata),
            )
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


def _staged(action: Mapping[str, Any]) -> StagedFile:
    values = {name: partition_text(value) for name, value in (action.get("partition") or {}).items()}
    return StagedFile(unquote(action["path"]), action["num_records"] or 0, action["size_bytes"], values)


def _commit(app: Mapping[str, int] | None, metadata: Mapping[str, str] | None = None) -> CommitProperties:
    transactions = [Transaction(name, version) for name, version in (app or {}).items()]
    return CommitProperties(app_transactions=transactions or None, custom_metadata=dict(metadata or {}) or None)
