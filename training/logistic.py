"""Logistic regression on standardised logarithms: fitted with scikit-learn, answered with NumPy alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
STRENGTH = 0.05
"""scikit-learn's C: the inverse of the L2 penalty."""


def logarithms(matrix: Array) -> Array:
    """sign(x) log(1 + |x|): skewed counts and amounts on a scale where a line fits."""
    taken: Array = np.sign(matrix) * np.log1p(np.abs(matrix))
    return taken


def fit_line(matrix: Array, label: Array) -> dict[str, Array]:
    """Means and scales of the columns' logarithms, weights and intercept. Columns that never vary get no weight."""
    from sklearn.linear_model import LogisticRegression

    rows = logarithms(matrix)
    means, scales = rows.mean(axis=0), rows.std(axis=0)
    scales = np.where(scales > 1e-12, scales, 1.0)
    fitted = LogisticRegression(C=STRENGTH, max_iter=1000).fit((rows - means) / scales, label)
    return {"means": means, "scales": scales, "weights": fitted.coef_[0], "intercept": fitted.intercept_}


def standardised(line: Mapping[str, Array], matrix: Array) -> Array:
    """What the line's weights are multiplied with."""
    rows: Array = (logarithms(matrix) - line["means"]) / line["scales"]
    return rows


def log_odds(line: Mapping[str, Array], matrix: Array) -> Array:
    """The line's answer per row."""
    answer: Array = standardised(line, matrix) @ line["weights"] + line["intercept"]
    return answer


def log_odds_of(line: Mapping[str, Sequence[float]], row: Sequence[float]) -> float:
    """The line's answer for one row; `line` holds lists and, as a list of one, the intercept."""
    numbers = zip(row, line["means"], line["scales"], line["weights"], strict=True)
    return line["intercept"][0] + sum(
        weight * ((math.copysign(math.log1p(abs(value)), value) - mean) / scale)
        for value, mean, scale, weight in numbers
    )
