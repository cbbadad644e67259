"""From named columns to the matrix a tabular model computes on, and from a frame to named columns and defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from training.use_case import Columns

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, Any]


class Rows(dict[str, Array]):
    """Named columns that are views of one n x k float64 `matrix`, in the order of `names`."""

    def __init__(self, matrix: Array, names: tuple[str, ...]) -> None:
        super().__init__(zip(names, matrix.T, strict=True))
        self.matrix = matrix
        self.names = names


def matrix(inputs: Columns, defaults: Mapping[str, float]) -> Array:
    """The inputs as an n x k float64 matrix, columns in the order of `defaults`, which fill NaN and absent columns."""
    if isinstance(inputs, Rows) and inputs.names == tuple(defaults):
        given = inputs.matrix
        return np.where(np.isnan(given), np.fromiter(defaults.values(), np.float64, len(defaults)), given)
    count = len(next(iter(inputs.values()), ()))
    unknown = np.full(count, np.nan)
    values = np.array([inputs.get(name, unknown) for name in defaults], dtype=np.float64).T
    filled: Array = np.where(np.isnan(values), np.fromiter(defaults.values(), np.float64, len(defaults)), values)
    return filled


def filled(row: Mapping[str, float], defaults: Mapping[str, float]) -> dict[str, float]:
    """One row's numbers by name, in the order of `defaults`, which stand for NaN and absent ones."""
    return {
        name: default if (value := row.get(name)) is None or math.isnan(value) else value
        for name, default in defaults.items()
    }


def to_columns(frame: pl.DataFrame, names: Sequence[str]) -> dict[str, Array]:
    """Numeric columns of a frame as float64 arrays, NaN where null."""
    import polars as pl

    return {name: frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in names}


def medians(frame: pl.DataFrame, names: Sequence[str]) -> dict[str, float]:
    """The training default of each input: its median, 0 where the column has no value at all."""
    import polars as pl

    row = frame.select(pl.col(name).cast(pl.Float64).median() for name in names).row(0)
    return {name: 0.0 if value is None else float(value) for name, value in zip(names, row, strict=True)}
