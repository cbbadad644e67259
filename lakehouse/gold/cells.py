"""Arrays with a cell for each place of a grid, to which rows are added: what one or some totals are made of."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import reduce

import numpy as np
import polars as pl

from lakehouse.packed import Array

Parts = Mapping[str, pl.Expr]
EARLIEST, LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
TOGETHER = 3
"""As many marks are counted at once. One array less to add to is worth more than the cells for all combinations."""


class Cells(ABC):
    """columns: what has to be known of rows, as numbers; absent: what a null is; join: how two totals are one."""

    columns: dict[str, pl.Expr]
    absent: int = 0
    join: np.ufunc = np.add

    @abstractmethod
    def add(self, places: Array, numbers: pl.DataFrame) -> None:
        """Add rows that have these places and numbers."""

    @abstractmethod
    def found(self) -> dict[str, Array]:
        """Each total's cells."""

    def typed(self, name: str) -> pl.Expr:
        """A total's numbers in the type that it has in a table."""
        return pl.col(name)


def cells_of(size: int, types: pl.Schema, *, sums: Parts, first: Parts, last: Parts) -> Iterator[Cells]:
    """Cells for sums, and for first and last moments, of parts of these types."""
    marks = {name: part for name, part in sums.items() if types[name] == pl.Boolean}
    for first_mark in range(0, len(marks), TOGETHER):
        yield Marks(dict(list(marks.items())[first_mark : first_mark + TOGETHER]), size)
    others = {name: part for name, part in sums.items() if name not in marks}
    for kind, parts in ((Sum, others), (First, first), (Last, last)):
        yield from (kind(name, part, types[name], size) for name, part in parts.items())


class One(Cells):
    """A sum, or a first or last moment."""

    def __init__(self, name: str, part: pl.Expr, dtype: pl.DataType, size: int) -> None:
        self._name, self._dtype = name, dtype
        self._cells = np.full(size, self.absent, np.float64 if dtype.is_float() else np.int64)
        self.columns = {name: part if dtype.is_float() else part.to_physical().cast(pl.Int64)}

    def add(self, places: Array, numbers: pl.DataFrame) -> None:
        """Each row's number is joined to its place."""
        self.join.at(self._cells, places, numbers[self._name].to_numpy())

    def found(self) -> dict[str, Array]:
        """The one total."""
        return {self._name: self._cells}

    def typed(self, name: str) -> pl.Expr:
        """Moments and exact decimals again."""
        number = pl.col(name)
        if self._dtype.is_temporal():
            return pl.when(number != self.absent).then(number).cast(self._dtype)
        if isinstance(self._dtype, pl.Decimal):
            return number.cast(pl.Int128).reinterpret(dtype=pl.Decimal(38, self._dtype.scale))
        return number


class Sum(One):
    """0 where there is nothing."""


class First(One):
    """The earliest moment, null where there is nothing."""

    absent, join = LATEST, np.minimum


class Last(One):
    """The latest moment, null where there is nothing."""

    absent, join = EARLIEST, np.maximum


class Marks(Cells):
    """How many rows have each of some marks, counted by the combination that they have."""

    def __init__(self, marks: Parts, size: int) -> None:
        self._names, self._code, self._size = list(marks), " ".join(marks), size
        self._cells = np.zeros((1 << len(marks), size), np.int64)
        zero = pl.lit(0, pl.UInt8)
        bits = [
            pl.when(mark).then(pl.lit(1 << bit, pl.UInt8)).otherwise(zero) for bit, mark in enumerate(marks.values())
        ]
        self.columns = {self._code: pl.sum_horizontal(bits)}

    def add(self, places: Array, numbers: pl.DataFrame) -> None:
        """Each row is counted at its place among those of its combination."""
        cells = places + np.multiply(numbers[self._code].to_numpy(), self._size, dtype=np.int64)
        if self._cells.size < len(cells):  # the same, but Python may go on elsewhere
            self._cells += np.bincount(cells, minlength=self._cells.size).reshape(self._cells.shape)
        else:
            np.add.at(self._cells.reshape(-1), cells, 1)

    def found(self) -> dict[str, Array]:
        """Of each mark what all combinations with it come to."""
        return {name: self._with(1 << bit) for bit, name in enumerate(self._names)}

    def _with(self, bit: int) -> Array:
        return reduce(np.add, (cells for code, cells in enumerate(self._cells) if code & bit))
