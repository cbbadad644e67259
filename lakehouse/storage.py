"""The one door to Delta: every table of the lake is read and committed through `Lake`."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, TypeVar

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from lakehouse.errors import ConcurrentBuildError
from lakehouse.open_tables import OpenTables
from lakehouse.staging import Stage, StagedFile

T = TypeVar("T")
KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}
"""Otherwise a checkpoint deletes the log of versions older than 30 days, and what pins them pins nothing readable."""
NEWEST = -1
"""As a commit's `base`: whatever version is there when it is made."""
RETRIES = 1_000
"""How often a commit is tried again behind others; a starved one of sixteen writers lost 100 races running."""
ATTEMPTS = 100
"""How often an append looks anew at what is there, after others have changed more than rows."""
COMMIT_ID = "commit_id"
"""Names each commit in the log, so that one whose answer got lost is known for what it is."""


class Lake(OpenTables):
    """The Delta tables under one root, named as in SQL: `gold.customer_features`, `predictions`.

    Every commit is atomic: a reader sees a table before it or after it, never between.
    """

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a table, lazily; filters and columns are pushed into the files."""
        at = self._at(table, self.version(table) if version is None else version)
        return pl.scan_delta(at, storage_options=self.settings.scan_options or None)

    def transaction(self, table: str, app_id: str, version: int | None = None) -> int | None:
        """The newest transaction version that `app_id` committed to the table, up to a version of it, or None."""
        return self.transactions(table, [app_id], version)[app_id]

    def transactions(self, table: str, app_ids: Collection[str], version: int | None = None) -> dict[str, int | None]:
        """As `transaction`, of several applications, with one look at what is there."""
        if not self.exists(table):
            return dict.fromkeys(app_ids)
        delta = self._at_newest(table) if version is None else self._at(table, version)
        try:
            return {app_id: delta.transaction_version(app_id) for app_id in app_ids}
        except DeltaError:  # since it was opened, `forget` has put a checkpoint in the place of the log that this reads
            delta = self.delta(table, version)
            return self._guard(lambda: {app_id: delta.transaction_version(app_id) for app_id in app_ids})

    def append(
        self, table: str, frame: pl.DataFrame, *, app: Mapping[str, int] | None = None, partition_by: str | None = None
    ) -> bool:
        """Append rows in one commit; `app` (application id: version) is recorded with the commit.

        With `app`, nothing is appended and False given where the table has all of it, or more, already: however many
        writers try and whatever answer gets lost, the rows are there once. New columns are added to the table;
        missing ones are null.
        """
        named = dict(app or {})
        if not named and self.storage_options:
            named = {f"append/{uuid.uuid4()}": 1}  # else a commit whose answer got lost would be made again
        options = {"mode": "append", "schema_mode": "merge", "partition_by": partition_by}
        for attempt in range(ATTEMPTS):
            self._make(table, frame.schema, [partition_by] if partition_by else [])
            delta = self.delta(table)  # of our own, since writing moves it
            done = {name: delta.transaction_version(name) for name in named}
            if named and all(at is not None and at >= named[name] for name, at in done.items()):
                return attempt > 0 and not app
            try:
                self._write(delta, frame, **options, commit_properties=_commit(named))
                return True
            except CommitFailedError as error:
                failure = error
        raise ConcurrentBuildError(f"{table} is written by too many others at once: run it again") from failure

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
        try:
            self._write(
                self.uri(table),
                frame,
                mode="overwrite",
                schema_mode="overwrite" if whole else None,
                predicate=None if whole else predicate,
                partition_by=partition_by,
                commit_properties=_commit(app),
            )
        except CommitFailedError as error:
            raise self._concurrent(table) from error

    def delete(self, table: str, predicate: str) -> None:
        """Delete the rows that match an SQL predicate, in one commit."""
        try:
            self._guard(lambda: self.delta(table).delete(predicate))
        except CommitFailedError as error:
            raise self._concurrent(table) from error

    def change(self, table: str, work: Callable[[DeltaTable], T]) -> T:
        """What `work` gives for the newest version of a table: maintenance that neither adds nor removes rows.

        Raises:
            ConcurrentBuildError: somebody else changed the table meanwhile.
        """
        try:
            return self._guard(lambda: work(self.delta(table)))
        except CommitFailedError as error:
            raise self._concurrent(table) from error

    def stage(
        self,
        table: str,
        *,
        partition_by: Sequence[str] = (),
        apart: Sequence[str] = (),
        partition: Mapping[str, object] | None = None,
    ) -> Stage:
        """A stage for new files of the table, see `Stage`, which `commit` makes part of it."""
        options = self.settings.scan_options
        return Stage(self.uri(table), options, partition_by=partition_by, apart=apart, partition=partition)

    def files(self, table: str, version: int | None = None) -> list[StagedFile]:
        """The data files of a version; none where the table does not exist."""
        if version is None and not self.exists(table):
            return []
        delta = self._at_newest(table) if version is None else self._at(table, version)
        actions = pl.DataFrame(delta.get_add_actions(flatten=False))
        return [StagedFile.of(row) for row in actions.iter_rows(named=True)]

    def read_files(self, table: str, files: Sequence[StagedFile], **options: Any) -> pl.LazyFrame:
        """The rows of some of a table's files, committed or not, without the partition's columns."""
        return pl.scan_parquet(
            [f"{self.uri(table)}/{file.path}" for file in files],
            storage_options=self.settings.scan_options or None,
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
        base: int | None = NEWEST,
    ) -> None:
        """Change a table in one commit: files added, files removed (all of them where `remove` is None).

        `schema` is the table's, partition columns included; `app` and `metadata` are recorded with the commit.
        `base` is the version that the change rests on, None where the table did not exist then.

        Raises:
            ConcurrentBuildError: since `base`, somebody else committed under one of the application ids, removed one
                of the files, or, where all files are to go, changed the table at all.
        """
        if base in (None, NEWEST):
            self._make(table, schema, partition_by, KEEP_LOG)
        delta = self._at_newest(table) if base == NEWEST else self._at(table, base or 0)
        before = delta.version()
        if remove is None and self.version(table) > before:
            raise self._concurrent(table)
        own = {**(metadata or {}), COMMIT_ID: str(uuid.uuid4())}
        actions: list[Any] = [*(file.add() for file in add), *(file.remove() for file in remove or ())]
        try:
            with self.failures():
                delta.create_write_transaction(
                    actions,
                    "overwrite" if remove is None else "append",
                    schema,
                    list(partition_by) or None,
                    commit_properties=_commit(app, own, retries=0 if remove is None else RETRIES),
                )
        except CommitFailedError as error:
            since = self.history(table, since=before)
            if not any(commit.get(COMMIT_ID) == own[COMMIT_ID] for commit in since):
                raise self._concurrent(table) from error

    def repartition(self, table: str, schema: pl.Schema, partition_by: Sequence[str]) -> None:
        """Empty a table, in a version of its own, and divide its files by other columns, which no later commit can."""
        self._create(table, schema, partition_by, KEEP_LOG, mode="overwrite")

    def partitioned_by(self, table: str, version: int) -> list[str]:
        """The columns by which a version's files are divided."""
        return list(self._at(table, version).metadata().partition_columns)

    def history(self, table: str, *, since: int = -1) -> list[dict[str, Any]]:
        """What is known of the commits after a version, the newest first, with the metadata recorded with each."""
        delta = self._at_newest(table)
        return self._guard(lambda: delta.history(delta.version() - since)) if delta.version() > since else []

    def _make(
        self,
        table: str,
        schema: pl.Schema,
        partition_by: Sequence[str],
        configuration: Mapping[str, str | None] | None = None,
    ) -> None:
        """Make the table where it does not exist; one writer of many makes it."""
        if not self.exists(table):
            self._create(table, schema, partition_by, configuration, mode="ignore")

    def _create(
        self,
        table: str,
        schema: pl.Schema,
        partition_by: Sequence[str],
        configuration: Mapping[str, str | None] | None,
        *,
        mode: Literal["ignore", "overwrite"],
    ) -> None:
        try:
            with self.failures():
                DeltaTable.create(
                    self.uri(table),
                    schema=schema,
                    partition_by=list(partition_by) or None,
                    mode=mode,
                    configuration=configuration,
                    storage_options=self.storage_options or None,
                    commit_properties=_commit(None, retries=0),
                )
        except CommitFailedError:
            pass  # somebody else has made it meanwhile; a retry would set the schema anew in a second version

    @staticmethod
    def _concurrent(table: str) -> ConcurrentBuildError:
        return ConcurrentBuildError(
            f"{table} was changed by another run meanwhile, and nothing of this one became part of it: "
            "let the other end, then run this again"
        )

    def _write(self, target: str | DeltaTable, frame: pl.DataFrame, **options: Any) -> None:
        with self.failures():
            write_deltalake(
                target,
                frame,
                storage_options=self.storage_options or None,
                **{key: value for key, value in options.items() if value is not None},
            )


def _commit(
    app: Mapping[str, int] | None, metadata: Mapping[str, str] | None = None, *, retries: int = RETRIES
) -> CommitProperties:
    transactions = [Transaction(name, version) for name, version in (app or {}).items()]
    return CommitProperties(
        app_transactions=transactions or None, custom_metadata=dict(metadata or {}) or None, max_commit_retries=retries
    )
