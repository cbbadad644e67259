"""Feature snapshots: the rows of one as_of of a gold table, memory-mapped and sorted by key."""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from training.recommend_request import HISTORY

Array = np.ndarray[Any, Any]
IDS, VALUES = "ids", "values"
PLACES = ("starts", "ends")
"""Where each customer's entries are in the arrays of a history, which have one per customer and product."""
FORMAT = "5"
"""Part of each snapshot's folder name: a server leaves alone what another version of it wrote."""


def write_snapshot(
    folder: Path, *, table: str, version: int, as_of: datetime, key: str, arrays: Mapping[str, Array]
) -> None:
    """Write a snapshot: `arrays[key]` holds the sorted ids, the others one value per id, or what `history` needs."""
    folder.mkdir(parents=True)
    others = {name: array for name, array in arrays.items() if name != key}
    own = (*PLACES, *HISTORY)
    apart = {name: array for name, array in others.items() if name in own or array.dtype.kind == "U"}
    names = [name for name in others if name not in apart]
    stored = {IDS: arrays[key], **apart}
    if names:
        stored[VALUES] = _matrix([others[name] for name in names], len(arrays[key]))
    for name, array in stored.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    header = {"table": table, "version": version, "as_of": as_of.isoformat(), "key": key}
    header |= {"names": names, "arrays": list(stored)}
    (folder / "snapshot.json").write_text(json.dumps(header))


def _matrix(columns: Sequence[Array], count: int) -> Array:
    """The columns of `count` rows side by side, so that what one call needs is in one piece of memory.

    A last row and a last column of NaN stand for unknown ids and unknown names.
    """
    values = np.full((count + 1, len(columns) + 1), np.nan)
    for number, column in enumerate(columns):
        values[:count, number] = column
    return values


class FeatureSnapshot:
    """The features that a worker reads by id; opened in microseconds, shared between workers by the page cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        header = json.loads((folder / "snapshot.json").read_text())
        self.table: str = header["table"]
        self.version: int = header["version"]
        self.as_of = datetime.fromisoformat(header["as_of"])
        self.key: str = header["key"]
        self._arrays = {name: mapped(folder / f"{name}.npy") for name in header["arrays"]}
        self._ids = self._arrays[IDS]
        self._values = self._arrays.get(VALUES, np.full((1, 1), np.nan))
        self._columns = {name: number for number, name in enumerate(header["names"])}
        self._chosen: dict[tuple[str, ...], list[int]] = {}
        self._sorted = self._ids.data

    @property
    def size(self) -> int:
        """The number of ids."""
        return len(self._ids)

    def arrays(self) -> dict[str, Array]:
        """Ids and columns as they were given to `write_snapshot`."""
        columns = {name: self._values[:-1, number] for name, number in self._columns.items()}
        apart = {name: array for name, array in self._arrays.items() if name not in (IDS, VALUES)}
        return {self.key: self._ids, **columns, **apart}

    def positions(self, ids: Array) -> Array:
        """Where each id's row is, -1 for an unknown id."""
        if not len(self._ids):
            return np.full(len(ids), -1, dtype=np.int64)
        found = np.searchsorted(self._ids, ids)
        found[found == len(self._ids)] = 0
        return np.where(self._ids[found] == ids, found, -1)

    def position(self, entity_id: int) -> int:
        """As `positions`, for one id."""
        found = bisect_left(self._sorted, entity_id)
        return found if found < len(self._sorted) and self._sorted[found] == entity_id else -1

    def row(self, position: int, names: tuple[str, ...]) -> list[float]:
        """As `rows`, for one position."""
        values: list[float] = self._values[position].tolist()
        return [values[column] for column in self._places(names)]

    def rows(self, positions: Array, names: tuple[str, ...]) -> Array:
        """The named values at n positions, n x k float64: NaN where the row, the name or the value is unknown."""
        found: Array = self._values[positions[:, None], self._places(names)]
        return found

    def _places(self, names: tuple[str, ...]) -> list[int]:
        chosen = self._chosen.get(names)
        if chosen is None:
            chosen = self._chosen[names] = [self._columns.get(name, -1) for name in names]
        return chosen

    def text(self, name: str, position: int) -> str:
        """A text column at a position; empty where the row, the column or the value is unknown."""
        column = self._arrays.get(name)
        return "" if column is None or position < 0 else str(column[position])

    def history_length(self, position: int) -> int:
        """The number of products in a customer's history, from a snapshot of `gold.interactions`."""
        return int(self._arrays["ends"][position] - self._arrays["starts"][position])

    def history_lengths(self, positions: Array) -> Array:
        """As `history_length`, of n positions."""
        lengths: Array = self._arrays["ends"][positions] - self._arrays["starts"][positions]
        return lengths

    def history(self, position: int) -> tuple[Array, ...]:
        """A customer's products, their weights, views and carts, from a snapshot of `gold.interactions`.

        All are empty for position -1.
        """
        start, end = (0, 0) if position < 0 else (self._arrays["starts"][position], self._arrays["ends"][position])
        return tuple(self._arrays[name][start:end] for name in HISTORY)


def mapped(path: Path) -> Array:
    """The array as a plain ndarray over the map: slicing NumPy's own memmap class costs a microsecond each time."""
    mapped: Array = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    return mapped
