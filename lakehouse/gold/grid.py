"""Totals of what happened before a moment, in arrays that have a place for each customer and moment asked for.

A row belongs to the customer's first moment after it, and is added to its place; then the places of a customer add up,
from moment to moment. In Polars, groups would cost a multiple of that.
"""

from abc import ABC, abstractmethod

import numpy as np
import polars as pl

from lakehouse.gold.cells import Parts, cells_of
from lakehouse.packed import Array, fresh, paired, ranked, small, small_stamps

ROWS_AT_ONCE = 500_000
"""So many rows are turned into numbers at once, which bounds the memory that takes."""
FEW = 4
"""So many moments are compared with sooner than searched in."""
DENSE = 1_000
"""Where ids span no more than so many times their number, as in one of so many buckets, a table tells their positions;
else they are searched for, which takes ten times as long."""


class Grid(ABC):
    """Places for keys, which are pairs of a moment and a customer."""

    def __init__(self, customers: Array, size: int) -> None:
        """Customers are sorted and unique; `size` is that of arrays with all places, and one that nobody asks for."""
        self._customers, self._size = customers, size
        self._lowest = int(customers[0]) if len(customers) else 0
        self._table = self._dense()

    def totals(self, rows: pl.DataFrame, *, sums: Parts, first: Parts, last: Parts) -> pl.DataFrame:
        """Of each part the sum, or the first or last moment, over a customer's rows before each of the keys.

        One row per key, in their order. A sum is 0 where there is nothing, a moment null.
        """
        types = rows.lazy().select(**sums, **first, **last).collect_schema()
        parts = list(cells_of(self._size, types, sums=sums, first=first, last=last))
        numbers = {name: column for part in parts for name, column in part.columns.items()}
        absent = {name: part.absent for part in parts for name in part.columns}
        for some in rows.iter_slices(ROWS_AT_ONCE):
            told = some.select(pl.col("customer_id"), pl.col("timestamp").to_physical(), **numbers)
            lacking = [column.name for column in told if column.null_count()]  # filling the others would copy them
            told = told.with_columns(pl.col(name).fill_null(absent[name]) for name in lacking)
            places = self._places(self._positions(told["customer_id"].to_numpy()), told["timestamp"].to_numpy())
            for part in parts:
                part.add(places, told)
        cells = [(name, part, each) for part in parts for name, each in part.found().items()]
        totals = pl.DataFrame({name: self._added_up(each, part.join) for name, part, each in cells})
        typed = {name: part.typed(name) for name, part, _ in cells}
        return totals.select(typed[name] for name in types)

    @abstractmethod
    def _places(self, positions: Array, stamps: Array) -> Array:
        """The places of rows, by the position of their customer and their timestamp."""

    @abstractmethod
    def _added_up(self, cells: Array, join: np.ufunc) -> Array:
        """What each key's place and those of the customer's earlier moments come to, in the order of the keys."""

    def _positions(self, ids: Array) -> Array:
        """Where ids are among the customers; behind the last one where they are not."""
        if self._table is not None:
            return self._table.take(ids - self._lowest + 1, mode="clip")
        found: Array = np.searchsorted(self._customers, ids)
        found[self._customers.take(found, mode="clip") != ids] = len(self._customers)
        return found

    def _dense(self) -> Array | None:
        """Positions by an id's distance from the lowest one, between nobody's; None if that were too long."""
        ids = self._customers
        span = int(ids[-1]) - self._lowest + 1 if len(ids) else 0
        if span > DENSE * len(ids):
            return None
        table = np.full(span + 2, len(ids), np.int32)
        table[ids - self._lowest + 1] = np.arange(len(ids))
        return table


class Crossed(Grid):
    """All of some customers, sorted and unique, at each of some moments: all at the first one, and so on."""

    def __init__(self, moments: pl.Series, customers: pl.Series) -> None:
        self._moments, self._asked = np.unique(moments.to_physical().to_numpy(), return_inverse=True)
        self._shape = (len(self._moments) + 1, len(customers) + 1)
        super().__init__(customers.to_numpy(), self._shape[0] * self._shape[1])

    def _places(self, positions: Array, stamps: Array) -> Array:
        few = len(self._moments) <= FEW
        step = (
            sum(stamps >= each for each in self._moments) if few else self._moments.searchsorted(stamps, side="right")
        )
        return np.asarray(step * self._shape[1] + positions)

    def _added_up(self, cells: Array, join: np.ufunc) -> Array:
        moments = cells.reshape(self._shape)
        for step in range(1, len(self._moments)):
            join(moments[step], moments[step - 1], out=moments[step])
        return moments[self._asked, :-1].reshape(-1)


class Pairs(Grid):
    """Any keys, in any order."""

    def __init__(self, moments: pl.Series, customers: pl.Series) -> None:
        ids, stamps = customers.to_numpy(), moments.to_physical().to_numpy()
        self._order = ranked(paired(small(ids), small_stamps(stamps)))[1]  # by customer, and then by moment
        mine, self._moments = ids.take(self._order), stamps.take(self._order)
        begins = np.flatnonzero(fresh(mine))
        super().__init__(mine.take(begins), len(ids) + 1)
        ends = np.append(begins, len(ids))[1:]
        self._begins, self._ends = np.append(begins, len(ids)), np.append(ends, len(ids))
        self._longest = int((ends - begins).max(initial=0))

    def _places(self, positions: Array, stamps: Array) -> Array:
        low, end = self._begins[positions], self._ends[positions]
        high = end
        for _ in range(self._longest.bit_length()):  # halves what lies between
            middle = (low + high) // 2
            after = self._moments.take(middle, mode="clip") > stamps
            low, high = np.where(after | (low == high), low, middle + 1), np.where(after, middle, high)
        return np.append(self._order, self._size - 1)[np.where(low < end, low, self._size - 1)]

    def _added_up(self, cells: Array, join: np.ufunc) -> Array:
        for rank in range(1, self._longest):
            later = (self._begins + rank)[self._begins + rank < self._ends]
            key, before = self._order[later], self._order[later - 1]
            cells[key] = join(cells[key], cells[before])
        return cells[:-1]
