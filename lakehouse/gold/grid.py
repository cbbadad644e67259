"""Totals of what happened before a moment, in arrays that have a place for each customer and moment asked for.

A row belongs to the customer's first moment after it, and is added to its place; then the places of a customer add up,
from moment to moment. In Polars, groups would cost a multiple of that.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[Any]
Parts = Mapping[str, pl.Expr]
ROWS_AT_ONCE = 500_000
"""So many rows are turned into numbers at once, which bounds the memory that takes."""
FEW = 4
"""So many moments are compared with sooner than searched in."""
TOGETHER = 3
"""As many marks are counted at once: how often each combination of them comes."""
EARLIEST, LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
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
        parts = {"customer_id": pl.col("customer_id"), "timestamp": pl.col("timestamp"), **sums, **first, **last}
        types = rows.lazy().select(**parts).collect_schema()
        start = dict.fromkeys(sums, 0) | dict.fromkeys(first, LATEST) | dict.fromkeys(last, EARLIEST)
        join = dict.fromkeys(sums, np.add) | dict.fromkeys(first, np.minimum) | dict.fromkeys(last, np.maximum)
        marks = [name for name in sums if types[name] == pl.Boolean]
        coded = {f"code {at}": marks[at : at + TOGETHER] for at in range(0, len(marks), TOGETHER)}
        numbers = {name: _number(part, types[name]) for name, part in parts.items() if name not in marks}
        numbers |= {code: _code([sums[name] for name in names]) for code, names in coded.items()}
        cells = {name: np.full(self._size, start[name], _kind(types[name])) for name in start if name not in marks}
        counts = {code: np.zeros((1 << len(names), self._size), np.int64) for code, names in coded.items()}
        for rows_at_once in rows.iter_slices(ROWS_AT_ONCE):
            some = _filled(rows_at_once.select(**numbers), start)
            places = self._places(self._positions(some["customer_id"].to_numpy()), some["timestamp"].to_numpy())
            for name, found in cells.items():
                join[name].at(found, places, some[name].to_numpy())
            for code, found in counts.items():
                np.add.at(found.reshape(-1), places + np.multiply(some[code].to_numpy(), self._size, dtype=np.int64), 1)
        for code, names in coded.items():
            cells |= dict(zip(names, _marked(counts[code]), strict=True))
        totals = pl.DataFrame({name: self._added_up(cells[name], join[name]) for name in start})
        return totals.select(_typed(name, types[name], start[name]) for name in start)

    @abstractmethod
    def _places(self, positions: Array, stamps: Array) -> Array:
        """The places of rows, by the position of their customer and their timestamp."""

    @abstractmethod
    def _added_up(self, cells: Array, join: np.ufunc) -> Array:
        """What each key's place and those of the customer's earlier moments come to, in the order of the keys."""

    def _positions(self, ids: Array) -> Array:
        """Where ids are among the customers; behind the last one where they are not."""
        if self._table is not None:
            return self._table.take(ids - (self._lowest - 1), mode="clip")
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
        table[ids - (self._lowest - 1)] = np.arange(len(ids))
        return table


class Crossed(Grid):
    """All of some customers at each of some moments, both sorted and unique; the keys are sorted by moment."""

    def __init__(self, moments: pl.Series, customers: pl.Series) -> None:
        self._moments, self._shape = moments.to_physical().to_numpy(), (len(moments) + 1, len(customers) + 1)
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
        return moments[:-1, :-1].reshape(-1)


class Pairs(Grid):
    """Any keys, unique and sorted by moment."""

    def __init__(self, moments: pl.Series, customers: pl.Series) -> None:
        ids, position, counts = np.unique(customers.to_numpy(), return_inverse=True, return_counts=True)
        super().__init__(ids, len(position) + 1)
        self._order = np.argsort(position, kind="stable")  # by customer, and then by moment
        self._moments = moments.to_physical().to_numpy()[self._order]
        ends = np.cumsum(counts)
        self._begins, self._ends = np.append(ends - counts, len(position)), np.append(ends, len(position))
        self._longest = int(counts.max(initial=0))

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


def _number(part: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Floats as they are; whole numbers, moments and exact decimals as whole numbers."""
    return part if dtype.is_float() else part.to_physical().cast(pl.Int64)


def _filled(numbers: pl.DataFrame, absent: Mapping[str, int]) -> pl.DataFrame:
    """Numbers in place of nulls; a column without any is not copied."""
    lacking = [column.name for column in numbers if column.null_count()]
    return numbers.with_columns(pl.col(name).fill_null(absent[name]) for name in lacking)


def _code(marks: Sequence[pl.Expr]) -> pl.Expr:
    """Which of some marks a row has, a bit for each."""
    bits = (
        pl.when(mark).then(pl.lit(1 << at, pl.UInt8)).otherwise(pl.lit(0, pl.UInt8)) for at, mark in enumerate(marks)
    )
    return pl.sum_horizontal(bits)


def _marked(counts: Array) -> Iterator[Array]:
    """How many rows of each place have each of some marks, by how many have each combination of them."""
    for bit in range(len(counts).bit_length() - 1):
        yield sum((each for code, each in enumerate(counts) if code >> bit & 1), start=np.int64(0))


def _kind(dtype: pl.DataType) -> type[np.generic]:
    return np.float64 if dtype.is_float() else np.int64


def _typed(name: str, dtype: pl.DataType, absent: int) -> pl.Expr:
    """Numbers as a column: counts of marks are whole numbers."""
    if dtype.is_temporal():
        return pl.when(pl.col(name) != absent).then(name).cast(dtype)
    if isinstance(dtype, pl.Decimal):
        return pl.col(name).cast(pl.Int128).reinterpret(dtype=pl.Decimal(38, dtype.scale))
    return pl.col(name)
