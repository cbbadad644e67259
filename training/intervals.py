"""Bootstrap intervals of holdout metrics: over test rows with a label, or over what a use case says its test is of."""

from dataclasses import replace

import numpy as np

from training.use_case import Dataset, Model, Resampled, UseCase

DRAWS = 50
ROWS = 20_000
"""Units of a resample at most; on bigger tests the intervals are too wide rather than slow."""


def intervals(use_case: UseCase, model: Model, data: Dataset) -> dict[str, tuple[float, float]]:
    """The 90 % interval of each metric over resampled units; empty where there is neither a label nor `resampled`."""
    units = _units(use_case, model, data)
    if units is None:
        return {}
    count, metrics_of = units
    generator = np.random.default_rng(0)
    found = [metrics_of(generator.integers(0, count, min(count, ROWS))) for _ in range(DRAWS)]
    bounds = {name: np.quantile([row[name] for row in found], (0.05, 0.95)) for name in found[0]}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def _units(use_case: UseCase, model: Model, data: Dataset) -> Resampled | None:
    if use_case.resampled is not None:
        return use_case.resampled(model, data)
    if not use_case.predicts_label:
        return None
    return data.test.height, lambda rows: use_case.evaluate(model, replace(data, test=data.test[rows]))
