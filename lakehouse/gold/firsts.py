"""Which rows are a customer's first of their kind.

NumPy sorts numbers that hold what rows are told apart by and their place, a tenth of what sorting the rows would take.
"""

import numpy as np
import polars as pl

from lakehouse.gold.cells import Array

HALF = 1 << 31
"""The product of two numbers below it has no more than `BITS`."""
BITS = 63
SECOND = 1_000_000
"""In microseconds."""
DENSE = 4
"""Where numbers go no higher than so many times their count, a table tells where each comes first, without sorting."""


class Timeline:
    """Rows of customers, those of each in order of time.

    Marks are one per row: true for a customer's first row of some kind, any one of several at the same moment.
    """

    def __init__(self, customers: pl.Series, stamps: pl.Series, counted: pl.Series | None = None) -> None:
        """Where not all rows count, `counted` tells which; the others are not marked."""
        self._height = len(customers)
        rows = np.arange(self._height) if counted is None else np.flatnonzero(counted.to_numpy())
        ids, times = _small(customers.to_numpy().take(rows)), stamps.to_physical().to_numpy().take(rows)
        moments, places = _sorted(_pairs(ids, _small(times if (times % SECOND).any() else times // SECOND)))
        self._customers, self._rows = ids.take(places), rows.take(places)
        self._fresh = _fresh(moments)

    def moments(self) -> pl.Series:
        """Marks by the row's moment."""
        return self._marks(self._rows[self._fresh])

    def first(self, kinds: pl.Series) -> pl.Series:
        """Marks by each row's kind: a whole number, or null for none."""
        customers, rows = self._customers, self._rows
        if kinds.null_count():
            known = kinds.is_not_null().to_numpy().take(rows)
            customers, rows = customers[known], rows[known]
        numbers = _small(kinds.cast(pl.Int64).fill_null(0).to_numpy().take(rows))
        return self._marks(rows.take(_firsts(_pairs(customers, numbers))))

    def _marks(self, rows: Array) -> pl.Series:
        marks = np.zeros(self._height, np.bool_)
        marks[rows] = True
        return pl.Series(marks)


def _small(values: Array) -> Array:
    """Numbers from 0 to `HALF` in the order of the values, and the same where these are."""
    lowest, highest = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    return values - lowest if highest - lowest < HALF else np.unique(values, return_inverse=True)[1]


def _pairs(some: Array, others: Array) -> Array:
    """One number for each pair of small ones, in order of the first and then the second."""
    return some * (int(others.max(initial=0)) + 1) + others


def _firsts(numbers: Array) -> Array:
    """The place where each number comes first."""
    size = int(numbers.max(initial=-1)) + 1
    if size > DENSE * len(numbers):
        ranked, places = _sorted(numbers)
        return places[_fresh(ranked)]
    first = np.full(size, len(numbers))
    np.minimum.at(first, numbers, np.arange(len(numbers)))
    return first[first < len(numbers)]


def _sorted(numbers: Array) -> tuple[Array, Array]:
    """The numbers, or others in their order, sorted, and the place that each had; those of equal ones ascend."""
    bits = len(numbers).bit_length()
    if int(numbers.max(initial=0)).bit_length() + bits > BITS:
        numbers = np.unique(numbers, return_inverse=True)[1]
    ranked = np.sort(numbers << bits | np.arange(len(numbers)))
    return ranked >> bits, ranked & ((1 << bits) - 1)


def _fresh(values: Array) -> Array:
    """Where a value differs from the one before it."""
    return np.append(values[:1] == values[:1], values[1:] != values[:-1])
