"""Which rows are a customer's first of their kind.

NumPy sorts numbers that hold a kind and a row's place in time, which takes a tenth of what sorting the rows would.
"""

import numpy as np
import polars as pl

from lakehouse.gold.cells import Array

HALF = 1 << 31
"""The product of two numbers below it has no more than `BITS`."""
BITS = 63


class Timeline:
    """Rows of customers, and their order in time.

    moments: a number for each row's moment, the same where moments are the same.
    """

    def __init__(self, customers: pl.Series, stamps: pl.Series) -> None:
        times = stamps.to_physical().to_numpy()
        self._customers = _small(customers.to_numpy())
        self._order = np.argsort(times)
        self._places, self._bits = np.arange(len(times)), len(times).bit_length()
        moments = np.empty_like(times)
        moments[self._order] = np.cumsum(_fresh(times.take(self._order)))
        self.moments = pl.Series("moment", moments)

    def first(self, kinds: pl.Series) -> pl.Series:
        """Marks the earliest row of each customer and kind, any one of several; none where there is no kind.

        Kinds are whole numbers, or null; the marks have their name.
        """
        numbers = _small(kinds.cast(pl.Int64).fill_null(kinds.min() or 0).to_numpy()) + 1
        numbers[kinds.is_null().arg_true().to_numpy()] = 0
        pairs = self._customers * (int(numbers.max(initial=0)) + 1) + numbers
        if int(pairs.max(initial=0)).bit_length() + self._bits > BITS:
            pairs = np.unique(pairs, return_inverse=True)[1]
        ranked = np.sort(pairs.take(self._order) << self._bits | self._places)
        fresh = ranked[_fresh(ranked >> self._bits)] & ((1 << self._bits) - 1)
        marks = np.zeros(len(numbers), np.bool_)
        marks[self._order.take(fresh)] = True
        return pl.Series(kinds.name, marks) & kinds.is_not_null()


def _small(values: Array) -> Array:
    """Numbers from 0 to `HALF` that differ where the values do."""
    lowest, highest = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    return values - lowest if highest - lowest < HALF else np.unique(values, return_inverse=True)[1]


def _fresh(values: Array) -> Array:
    """Where a value differs from the one before it."""
    return np.append(values[:1] == values[:1], values[1:] != values[:-1])
