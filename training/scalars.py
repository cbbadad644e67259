"""NumPy's functions for single numbers, under the same names.

A formula that takes its functions as `xp`, either `numpy` or this module, is written once and serves columns of rows as
well as the one row of a call, for which arrays would cost ten times the arithmetic.
"""

import builtins
import math
from typing import Any

Numbers = Any
"""A column of numbers where `xp` is numpy, one number where it is this module."""
inf, nan = math.inf, math.nan
exp, expm1, log, log1p, isnan = math.exp, math.expm1, math.log, math.log1p, math.isnan


def where(condition: bool, chosen: Any, other: Any) -> Any:
    """One of two values, both of them computed already."""
    return chosen if condition else other


def isfinite(value: float) -> bool:
    """Whether a number is neither infinite nor NaN."""
    return -inf < value < inf


def maximum(left: float, right: float) -> float:
    """The larger number; NaN if one is."""
    return left if left >= right or isnan(left) else right


def minimum(left: float, right: float) -> float:
    """The smaller number; NaN if one is."""
    return left if left <= right or isnan(left) else right


def fmax(left: float, right: float) -> float:
    """The larger number; the other one if one is NaN."""
    return right if right > left or isnan(left) else left


def fmin(left: float, right: float) -> float:
    """The smaller number; the other one if one is NaN."""
    return right if right < left or isnan(left) else left


def clip(value: float, low: float, high: float) -> float:
    """The number within bounds."""
    return minimum(maximum(value, low), high)


def ceil(value: float) -> float:
    """The next whole number from here upwards."""
    return float(math.ceil(value)) if isfinite(value) else value


def round(value: float, digits: int) -> float:
    """To so many decimal digits as NumPy does: the scaled number goes to the nearest whole one, halves to the even."""
    scale = 10.0**digits
    scaled = value * scale
    return builtins.round(scaled) / scale if isfinite(scaled) else scaled
