"""Data files first, the commit after: how a build writes much in bounded memory and changes a table in one commit.

Files that were staged and never committed (a killed build) belong to no version; `shopsphere maintain` removes them.
"""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import polars as pl
from deltalake.transaction import AddAction, RemoveAction

from lakehouse.failures import storage_failures

ROWS_PER_GROUP = 250_000
STAMP = "timestamp"
"""The column whose span the log tells where rows have it, so that readers leave out files unopened."""


@dataclass(frozen=True)
class StagedFile:
    """A Parquet file in a table's folder: its path there, its rows and bytes, and the partition that it belongs to.

    span: the first and last `timestamp` of its rows, to the millisecond if the log tells it; None where it does not.
    """

    path: str
    rows: int
    size: int
    partition: dict[str, str]
    span: tuple[datetime, datetime] | None = None

    @classmethod
    def of(cls, action: Mapping[str, Any]) -> "StagedFile":
        """The file that an add action of the log, as `get_add_actions` tells of it, made part of its table."""
        values = {name: partition_text(value) for name, value in (action.get("partition") or {}).items()}
        first, last = ((action.get(end) or {}).get(STAMP) for end in ("min", "max"))
        span = (first, last) if isinstance(first, datetime) and isinstance(last, datetime) else None
        return cls(unquote(action["path"]), action["num_records"] or 0, action["size_bytes"], values, span)

    def add(self) -> AddAction:
        """The action that makes the file part of the table."""
        now = int(time.time() * 1000)
        told: dict[str, object] = {"numRecords": self.rows}
        if self.span:
            first, last = (moment.isoformat(" ", "milliseconds") for moment in self.span)  # cut off, as readers expect
            told |= {"minValues": {STAMP: first}, "maxValues": {STAMP: last}}
        return AddAction(self.path, self.size, dict(self.partition), now, True, json.dumps(told))

    def remove(self) -> RemoveAction:
        """The action that takes the file out of the table; older versions keep it."""
        return RemoveAction(self.path, True, int(time.time() * 1000), self.size, dict(self.partition))


class Stage:
    """Lazy rows on their way into files of one table; `files` are those written so far.

    `partition_by` names the columns whose values choose the partition; `partition` fixes those that the rows lack.
    Rows that differ in a column of `apart`, which is not stored, come into different files.
    """

    def __init__(
        self,
        uri: str,
        storage_options: Mapping[str, Any],
        *,
        partition_by: Sequence[str] = (),
        apart: Sequence[str] = (),
        partition: Mapping[str, object] | None = None,
    ) -> None:
        self.files: list[StagedFile] = []
        self._uri = uri
        self._options = dict(storage_options) or None
        self._keys, self._apart = list(partition_by), list(apart)
        self._fixed = {name: partition_text(value) for name, value in (partition or {}).items()}
        self._groups: dict[str, Mapping[str, object]] = {}

    def write(self, rows: pl.LazyFrame) -> list[StagedFile]:
        """Write the rows, streaming, and give the files.

        Raises:
            StorageError: the storage of the table, or of what the rows are read from, failed.
        """
        known = len(self.files)
        with storage_failures(self._uri):
            self._sink(rows).collect(engine="streaming")
            if rows.collect_schema().get(STAMP) == pl.Datetime("us"):
                spans, new = self._spans(rows), self.files[known:]
                self.files[known:] = [
                    replace(file, span=spans[tuple(self._groups[file.path].values())]) for file in new
                ]
        return self.files

    def _spans(self, rows: pl.LazyFrame) -> dict[tuple[object, ...], tuple[datetime, datetime] | None]:
        """The first and last `timestamp` of what comes into one file; a plan with the sink would take longer."""
        of, ends = [*self._keys, *self._apart], [pl.col(STAMP).min().alias("first"), pl.col(STAMP).max().alias("last")]
        found = (rows.group_by(of).agg(ends) if of else rows.select(ends)).collect(engine="streaming")
        return {tuple(group): (first, last) if first else None for *group, first, last in found.iter_rows()}

    def _sink(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        target: Any = f"{self._uri}/{self._path({})}"
        if self._keys:
            key = [*self._keys, *self._apart]
            target = pl.PartitionBy(self._uri, key=key, include_key=False, file_path_provider=self._partition)
        return rows.sink_parquet(
            target,
            mkdir=True,
            row_group_size=ROWS_PER_GROUP,
            compression="zstd",
            compression_level=1,  # the same size as level 3 on these columns, for two thirds of the time
            storage_options=self._options,
            sinked_paths_callback=self._sank,
            lazy=True,
        )

    def _partition(self, arguments: Any) -> str:
        return self._path(arguments.partition_keys.row(0, named=True))

    def _path(self, group: Mapping[str, object]) -> str:
        """A new file for the rows of a group, by what they are told from others."""
        folders = [f"{name}={quote(text, safe='')}" for name, text in self._values(group).items()]
        path = "/".join([*folders, f"part-{uuid.uuid4()}.parquet"])
        self._groups[path] = group
        return path

    def _values(self, group: Mapping[str, object]) -> dict[str, str]:
        return self._fixed | {name: partition_text(group[name]) for name in group if name in self._keys}

    def _sank(self, arguments: Any) -> None:
        for file in arguments.paths:
            path = str(file.path).removeprefix("file://").removeprefix(self._uri).lstrip("/")
            if file.num_rows:
                self.files.append(StagedFile(path, file.num_rows, file.num_bytes, self._values(self._groups[path])))


def partition_text(value: object) -> str:
    """A partition's value as Delta's log writes it (Delta protocol, "Partition Value Serialization")."""
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else str(value)
