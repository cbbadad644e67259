"""Collects the evidence on a candidate: holdout, named baselines, backtest, shuffled labels, leaks, slices."""

from typing import Any

import numpy as np

from lakehouse.storage import Lake
from training import bootstrap, labelled, leaks
from training.backtest import backtest, window
from training.chance import shuffled_gain
from training.evidence import Evidence
from training.intervals import intervals
from training.slices import slices
from training.use_case import Dataset, Metrics, Model, UseCase

Array = np.ndarray[Any, Any]
DECILES = 10


def examine(use_case: UseCase, model: Model, baseline: Model, data: Dataset, *, lake: Lake, windows: int) -> Evidence:
    """All that is known of a candidate fitted on `data`; the backtest goes up to `windows` windows further back.

    Raises:
        ShopSphereError: the lake cannot be read.
    """
    metrics, simple = use_case.evaluate(model, data), use_case.evaluate(baseline, data)
    earlier, end = backtest(use_case, lake, data, windows=windows)
    gained = gain(use_case, model, baseline, data)
    known = labelled.outcomes(use_case, model, data)
    return Evidence(
        metrics=metrics,
        baseline=simple,
        references=use_case.references(data),
        gain=gained,
        intervals=intervals(use_case, model, data),
        shuffled=shuffled_gain(use_case, baseline, data, gain=gained["gain"]),
        windows=(window(use_case, data, metrics, simple, 0), *earlier),
        windows_end=end,
        importances=leaks.importances(use_case, model, data),
        ranking=leaks.ranking(use_case, data),
        answers_ranking=leaks.rank_skill(*known) if known else None,
        deciles=_deciles(*known) if known else (),
        slices=slices(use_case, model, baseline, data),
    )


def gain(use_case: UseCase, model: Model, other: Model, data: Dataset) -> Metrics:
    """What a model gains over another in the primary metric, with its interval over resampled rows."""
    return bootstrap.summary(use_case.gains(model, other, data))


def _deciles(actual: Array, predicted: Array) -> tuple[tuple[float, float], ...]:
    parts = np.array_split(np.argsort(predicted, kind="stable"), DECILES)
    return tuple((float(predicted[rows].mean()), float(actual[rows].mean())) for rows in parts if len(rows))
