"""Delta tables kept open at a version that stays as it is; the newest is opened anew when there is a newer one."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.errors import ConfigurationError, MissingTableError
from lakehouse.failures import storage_failures
from lakehouse.settings import Settings

T = TypeVar("T")
LOOKS_AT_ONCE = 8
UNREADABLE = "#?[]^|\\=%"
"""Of a folder whose path has one of these delta-rs makes another or finds no history; `=` is a partition for Polars."""


class _Table(DeltaTable):
    """A Delta table whose files have the names that they have on disk: delta-rs gives the folder's percent-encoded."""

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri, **options)
        self._uri = uri

    @property
    def table_uri(self) -> str:
        """The table's folder or address."""
        return f"{self._uri}/"

    def file_uris(self, *filters: Any, **more: Any) -> list[str]:
        """The files of the version, in the order of its add actions."""
        encoded = len(super().table_uri.removeprefix("file://"))
        return [self.table_uri + uri[encoded:] for uri in super().file_uris(*filters, **more)]


class OpenTables:
    """The tables under one root: to open one is to read its log, which a build would do for every question."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.lake_uri
        if odd := sorted(set(UNREADABLE) & set(self.root)):
            raise ConfigurationError(
                f"the lake cannot be in {self.root}: Delta's readers fail where a path has {' '.join(odd)}; "
                "set VAR_DIR or LAKE_ROOT to another"
            )
        self.storage_options = settings.storage_options
        self._newest: dict[str, DeltaTable] = {}
        self._read: dict[str, DeltaTable] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without the open tables, which cannot go to another process."""
        return self.__dict__ | {"_newest": {}, "_read": {}}

    def uri(self, table: str) -> str:
        """The folder or address of a table."""
        return f"{self.root}/{table.replace('.', '/')}"

    def exists(self, table: str) -> bool:
        """Whether the table was ever written."""
        return (
            table in self._newest
            or table in self._read
            or self._guard(lambda: DeltaTable.is_deltatable(self.uri(table), self.storage_options))
        )

    def delta(self, table: str, version: int | None = None) -> DeltaTable:
        """The table at a version, the newest where none is given.

        Raises:
            MissingTableError: the table does not exist.
        """
        try:
            return self._guard(lambda: _Table(self.uri(table), version=version, storage_options=self.storage_options))
        except TableNotFoundError as error:
            raise self.missing(table) from error

    def missing(self, table: str) -> MissingTableError:
        """The error that says that a table does not exist."""
        advice = "run `shopsphere ingest` and `shopsphere build` first"
        return MissingTableError(f"table {table!r} does not exist in {self.root}: {advice}")

    def look(self, tables: Iterable[str]) -> dict[str, int]:
        """The newest versions of those tables that exist, opened all at once: a store answers many as soon as one."""
        found: dict[str, int] = {}

        def one(table: str) -> None:
            with suppress(MissingTableError):
                found[table] = self.version(table)

        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            list(pool.map(one, tables))
        return found

    def version(self, table: str) -> int:
        """The newest version of a table."""
        return int(self._at_newest(table).version())

    def failures(self) -> AbstractContextManager[None]:
        """Within it, what fails in the storage is a StorageError; for rows that are read lazily."""
        return storage_failures(f"the lake at {self.root}")

    def _at_newest(self, table: str) -> DeltaTable:
        """The table at its newest version, which nobody may move; builds ask hundreds of times whether it is."""
        kept = self._newest.get(table)
        if kept is None or self._latest(kept) != kept.version():
            kept = self._newest[table] = self.delta(table)
        return kept

    def _latest(self, kept: DeltaTable) -> int | None:
        """The number of the newest version, by the names of its log's files alone; None where the log is another.

        Python's DeltaTable has no such question: it would read the new commits, and move what others read.
        """
        with self.failures():
            try:
                return int(kept._table.get_latest_version())
            except DeltaError as error:
                if "Invalid table version" in str(error):  # `forget` put a checkpoint in the place of older commits
                    return None
                raise

    def _at(self, table: str, version: int) -> DeltaTable:
        """The table at a version, which nobody may move; kept for the next one who reads the same."""
        for kept in (self._newest.get(table), self._read.get(table)):
            if kept is not None and kept.version() == version:
                return kept
        kept = self._read[table] = self.delta(table, version)
        return kept

    def _guard(self, call: Callable[[], T]) -> T:
        with self.failures():
            return call()
