"""Paired bootstrap: whether one model is better than another on the same rows by more than noise."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def paired_gains(gain: Callable[[Array], float], count: int, *, draws: int = 200, seed: int = 0) -> Array:
    """The gain of one model over another on `draws` resamples of `count` test rows.

    `gain` takes row numbers (drawn with replacement, the same for both models) and gives their difference.
    """
    generator = np.random.default_rng(seed)
    return np.array([gain(generator.integers(0, count, count)) for _ in range(draws)])


def summary(gains: Array) -> dict[str, float]:
    """`gain`, the mean, and its 90 % interval: `gain_low`, above which is more than noise, to `gain_high`."""
    low, high = np.quantile(gains, (0.05, 0.95))
    return {"gain": float(np.mean(gains)), "gain_low": float(low), "gain_high": float(high)}
