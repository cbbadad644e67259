"""Bootstrap intervals of holdout metrics, where evaluating a model on resampled rows is cheap."""

from dataclasses import replace

import numpy as np

from training.use_case import Dataset, Model, UseCase

DRAWS = 50
ROWS = 20_000
"""Rows of a resample at most; on bigger tests the intervals are too wide rather than slow."""


def intervals(use_case: UseCase, model: Model, data: Dataset) -> dict[str, tuple[float, float]]:
    """The 90 % interval of each metric over resampled test rows; empty where rows are no independent labels."""
    if not use_case.predicts_label:
        return {}
    generator = np.random.default_rng(0)
    count = data.test.height
    drawn = (generator.integers(0, count, min(count, ROWS)) for _ in range(DRAWS))
    found = [use_case.evaluate(model, replace(data, test=data.test[rows])) for rows in drawn]
    bounds = {name: np.quantile([row[name] for row in found], (0.05, 0.95)) for name in found[0]}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
