"""Tables at the versions that they had at one moment: whoever works on them sees the same rows, and asks once."""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl

from lakehouse.open_tables import LOOKS_AT_ONCE
from lakehouse.staging import StagedFile
from lakehouse.storage import Lake


@dataclass(frozen=True)
class FrozenTables:
    """Tables at fixed versions; one without a version did not exist."""

    lake: Lake
    versions: Mapping[str, int]
    _recorded: dict[tuple[str, str], int | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def now(cls, lake: Lake, tables: Iterable[str]) -> "FrozenTables":
        """The tables at their newest versions."""
        return cls(lake, lake.look(tables))

    def version(self, table: str) -> int:
        """A table's version.

        Raises:
            MissingTableError: it did not exist.
        """
        if table not in self.versions:
            raise self.lake.missing(table)
        return self.versions[table]

    def scan(self, table: str) -> pl.LazyFrame:
        """A table's rows, lazily."""
        return self.lake.scan(table, self.version(table))

    def files(self, table: str) -> list[StagedFile]:
        """A table's data files; none where it did not exist."""
        return self.lake.files(table, self.versions[table]) if table in self.versions else []

    def partitioned_by(self, table: str) -> list[str]:
        """The columns by which a table's files are divided."""
        return self.lake.partitioned_by(table, self.version(table))

    def transaction(self, table: str, app_id: str) -> int | None:
        """The newest transaction version that an application had committed to a table, or None."""
        return self.transactions(table, [app_id])[app_id]

    def transactions(self, table: str, app_ids: Collection[str]) -> dict[str, int | None]:
        """As `transaction`, of several applications."""
        if table not in self.versions:
            return dict.fromkeys(app_ids)
        if new := [app_id for app_id in app_ids if (table, app_id) not in self._recorded]:
            told = self.lake.transactions(table, new, self.versions[table])
            self._recorded.update({(table, app_id): version for app_id, version in told.items()})
        return {app_id: self._recorded[table, app_id] for app_id in app_ids}

    def recorded(self, asked: Mapping[str, Collection[str]]) -> dict[str, dict[str, int | None]]:
        """As `transactions`, of several applications of each of several tables, asked at once."""
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            return dict(zip(asked, pool.map(self.transactions, asked, asked.values()), strict=True))
