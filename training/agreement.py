"""To what precision two models give the same answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How `rows` answers of two models compare: the share that is the same, and how far numbers are apart at most.

    `difference` is relative to the larger of the two numbers; None where other things than numbers differ.
    """

    rows: int
    same: float
    difference: float | None

    def __str__(self) -> str:
        """The comparison in words."""
        if self.same == 1.0:
            return f"{self.rows:,} answers are the same to the last bit"
        if self.difference is not None:
            return f"{self.rows:,} answers agree to {self.difference:.1e} of their size"
        return f"{self.same:.1%} of {self.rows:,} answers are the same"


def agreement(left: Array, right: Array) -> Agreement:
    """Compare two columns of answers of equal length: numbers, text, or lists of either."""
    differences: list[float | None]
    if left.dtype.kind == right.dtype.kind == "f":
        differences = relative(left, right).tolist()
    else:
        differences = [_difference(np.asarray(one), np.asarray(other)) for one, other in zip(left, right, strict=True)]
    known = [value for value in differences if value is not None]
    return Agreement(
        rows=len(differences),
        same=sum(value == 0 for value in known) / max(len(differences), 1),
        difference=max(known, default=0.0) if len(known) == len(differences) else None,
    )


def relative(one: Array, other: Array) -> Array:
    """The differences of numbers over the larger of the two; two unknown ones do not differ, an unknown one does."""
    size = np.maximum(np.maximum(np.abs(one), np.abs(other)), np.finfo(np.float64).tiny)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    found: Array = np.where(same, 0.0, np.nan_to_num(np.abs(one - other) / size, nan=np.inf))
    return found


def _difference(one: Array, other: Array) -> float | None:
    if one.dtype.kind == other.dtype.kind == "f" and one.shape == other.shape:
        return float(relative(one, other).max(initial=0.0))
    return 0.0 if np.array_equal(one, other) else None
