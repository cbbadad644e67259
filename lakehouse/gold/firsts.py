"""Which rows are a customer's first of their kind."""

import numpy as np
import polars as pl

from lakehouse.packed import Array, firsts, fresh, paired, ranked, small, small_stamps


class Timeline:
    """Rows of customers, those of each in order of time.

    Marks are one per row: true for a customer's first row of some kind, any one of several at the same moment.
    """

    def __init__(self, customers: pl.Series, stamps: pl.Series, counted: pl.Series | None = None) -> None:
        """Where not all rows count, `counted` tells which; the others are not marked."""
        self._height = len(customers)
        rows = np.arange(self._height) if counted is None else np.flatnonzero(counted.to_numpy())
        ids, times = small(customers.to_numpy().take(rows)), stamps.to_physical().to_numpy().take(rows)
        moments, places = ranked(paired(ids, small_stamps(times)))
        self._customers, self._rows = ids.take(places), rows.take(places)
        self._fresh = fresh(moments)

    def moments(self) -> pl.Series:
        """Marks by the row's moment."""
        return self._marks(self._rows[self._fresh])

    def first(self, kinds: pl.Series) -> pl.Series:
        """Marks by each row's kind: a whole number, or null for none."""
        customers, rows = self._customers, self._rows
        if kinds.null_count():
            known = kinds.is_not_null().to_numpy().take(rows)
            customers, rows = customers[known], rows[known]
        numbers = small(kinds.cast(pl.Int64).fill_null(0).to_numpy().take(rows))
        return self._marks(rows.take(firsts(paired(customers, numbers))))

    def _marks(self, rows: Array) -> pl.Series:
        marks = np.zeros(self._height, np.bool_)
        marks[rows] = True
        return pl.Series(marks)
