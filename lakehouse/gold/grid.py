"""Totals of all customers at the same moments, in arrays with a place for each customer at each moment.

Rows are added to their places one by one, which costs half of what groups cost in Polars.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[Any]
Parts = Mapping[str, pl.Expr]
ROWS_AT_ONCE = 65_536
"""Few enough for what is made of them to stay in the processor's cache."""
EARLIEST, LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
DENSE = 1_000
"""Where ids span no more than so many times their number, as in one of so many buckets, a table tells their positions;
else they are searched for, which takes ten times as long."""


class Grid:
    """A place for each of the `customers` at each of the `moments`; both are sorted and unique."""

    def __init__(self, moments: pl.Series, customers: pl.Series) -> None:
        self._moments, self._customers = moments.to_physical().to_numpy(), customers.to_numpy()
        self._shape = len(moments) + 1, len(customers) + 1  # one more for what is after all moments, or of nobody
        self._lowest = int(self._customers[0]) if len(customers) else 0
        self._table = self._dense()

    def totals(self, rows: pl.LazyFrame, *, sums: Parts, first: Parts, last: Parts) -> pl.DataFrame:
        """Of each part the sum, or the first or last moment, over each customer's rows before each moment.

        One row per moment and customer, in their order. A sum is 0 where there is nothing, a moment null.
        """
        start = dict.fromkeys(sums, 0) | dict.fromkeys(first, LATEST) | dict.fromkeys(last, EARLIEST)
        join = dict.fromkeys(sums, np.add) | dict.fromkeys(first, np.minimum) | dict.fromkeys(last, np.maximum)
        parts = rows.select("customer_id", "timestamp", **sums, **first, **last)
        types = parts.collect_schema()
        numbers = parts.select(_number(name, dtype, start.get(name, 0)) for name, dtype in types.items())
        cells = {name: np.full(self._shape, start[name], _kind(types[name])) for name in start}
        for some in numbers.collect().iter_slices(ROWS_AT_ONCE):
            places = self._places(some["customer_id"].to_numpy(), some["timestamp"].to_numpy())
            for name, found in cells.items():
                join[name].at(found.reshape(-1), places, some[name].to_numpy().astype(found.dtype, copy=False))
        for name, found in cells.items():
            for step in range(1, len(self._moments)):
                join[name](found[step], found[step - 1], out=found[step])
        totals = pl.DataFrame({name: found[:-1, :-1].reshape(-1) for name, found in cells.items()})
        return totals.select(_typed(name, types[name], start[name]) for name in start)

    def _places(self, ids: Array, stamps: Array) -> Array:
        """The place of each row: at the first moment after it, its customer's position."""
        nobody = len(self._customers)
        if self._table is not None:
            position: Array = self._table[np.clip(ids - self._lowest, -1, len(self._table) - 1)]
        else:
            position = np.searchsorted(self._customers, ids)
            position[self._customers.take(position, mode="clip") != ids] = nobody
        step: Array = np.searchsorted(self._moments, stamps, side="right")
        return step * (nobody + 1) + position

    def _dense(self) -> Array | None:
        """Positions by an id's distance from the lowest one, and behind them nobody's; None if it were too long."""
        ids = self._customers
        span = int(ids[-1]) - self._lowest + 1 if len(ids) else 0
        if span > DENSE * len(ids):
            return None
        table = np.full(span + 1, len(ids), np.int32)
        table[ids - self._lowest] = np.arange(len(ids))
        return table


def _number(name: str, dtype: pl.DataType, absent: int) -> pl.Expr:
    """A column as numbers: marks and floats as they are; counts, moments and exact decimals as whole numbers."""
    if dtype == pl.Boolean or dtype.is_float():
        return pl.col(name).fill_null(absent)
    return pl.col(name).to_physical().cast(pl.Int64).fill_null(absent)


def _kind(dtype: pl.DataType) -> type[np.generic]:
    return np.float64 if dtype.is_float() else np.int64


def _typed(name: str, dtype: pl.DataType, absent: int) -> pl.Expr:
    """Numbers as a column: counts of marks are whole numbers."""
    if dtype.is_temporal():
        return pl.when(pl.col(name) != absent).then(name).cast(dtype)
    if isinstance(dtype, pl.Decimal):
        return pl.col(name).cast(pl.Decimal(38, dtype.scale)) / pl.lit(10**dtype.scale)
    return pl.col(name)
