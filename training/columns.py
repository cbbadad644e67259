"""Columns of any kind a model takes or gives (numbers, text, lists) as JSON: the form of golden rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from training.use_case import Columns

Array = np.ndarray[Any, Any]


def object_array(values: list[Any]) -> Array:
    """An object array with one entry per row, also where all entries are lists of equal length."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def plain(column: Array) -> list[Any]:
    """A column as Python's own numbers, texts and lists."""
    if column.dtype == object:
        return [entry.tolist() if isinstance(entry, np.ndarray) else entry for entry in column]
    return list(column.tolist())


def row_count(inputs: Columns, options: Columns) -> int:
    """The number of rows that named columns have; 0 without any column."""
    first = next(iter(inputs.values()), next(iter(options.values()), None))
    return 0 if first is None else len(first)


def to_json(columns: Columns) -> dict[str, Any]:
    """Each column as its type and values; NaN becomes null."""
    return {name: {"type": _type(column), "values": _values(column)} for name, column in columns.items()}


def from_json(document: dict[str, Any]) -> dict[str, Array]:
    """The inverse of `to_json`."""
    return {name: _READERS[column["type"]](column["values"]) for name, column in document.items()}


def equal(left: Array, right: Array, *, tolerance: float) -> bool:
    """Whether two columns agree: numbers within a relative tolerance (NaN equals NaN), everything else exactly."""
    if len(left) != len(right):
        return False
    if left.dtype == object and len(left) and isinstance(left[0], np.ndarray):
        return all(equal(a, b, tolerance=tolerance) for a, b in zip(left, right, strict=True))
    if left.dtype.kind == "f":
        return bool(np.allclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(np.array_equal(left, right))


def _type(column: Array) -> str:
    if column.dtype == object and len(column) and isinstance(column[0], np.ndarray | list):
        inner = next((np.asarray(entry) for entry in column if len(entry)), np.empty(0))
        return f"list[{_type(inner)}]"
    return {"f": "number", "i": "integer", "u": "integer", "b": "integer"}.get(column.dtype.kind, "text")


def _values(column: Array) -> list[Any]:
    if column.dtype == object:
        return [_values(np.asarray(entry)) if isinstance(entry, np.ndarray | list) else entry for entry in column]
    if column.dtype.kind == "f":
        return [float(value) if np.isfinite(value) else None for value in column]
    return list(column.tolist())


def _numbers(values: list[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _integers(values: list[int]) -> Array:
    return np.array(values, dtype=np.int64)


_READERS: dict[str, Callable[[list[Any]], Array]] = {
    "number": _numbers,
    "integer": _integers,
    "text": object_array,
    "list[number]": lambda rows: object_array([_numbers(row) for row in rows]),
    "list[integer]": lambda rows: object_array([_integers(row) for row in rows]),
    "list[text]": lambda rows: object_array([object_array(row) for row in rows]),
}
