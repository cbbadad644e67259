"""How good probabilities are: ranking, calibration and their figure."""

from typing import Any

import numpy as np

from training.regression import ranks
from training.use_case import Metrics

Array = np.ndarray[Any, Any]


def auc(actual: Array, predicted: Array) -> float:
    """The chance that a responder is ranked above a non-responder; ties count half; .5 where there is only one kind."""
    positive = actual > 0
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return 0.5
    return float((ranks(predicted)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def metrics(actual: Array, predicted: Array) -> Metrics:
    """auc, average precision, log loss, Brier score, calibration (sum predicted / sum actual), lift at the top 10 %.

    `calibration_error` is the mean distance of predicted and actual share in tenths of the rows by prediction.
    """
    clipped = np.clip(predicted, 1e-6, 1 - 1e-6)
    order = np.argsort(-predicted, kind="stable")
    hits = actual[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    top = max(1, len(hits) // 10)
    rate = float(actual.mean())
    return {
        "auc": auc(actual, predicted),
        "average_precision": float((precision * hits).sum() / max(hits.sum(), 1)),
        "log_loss": float(-(actual * np.log(clipped) + (1 - actual) * np.log(1 - clipped)).mean()),
        "brier": float(np.square(predicted - actual).mean()),
        "calibration": float(predicted.sum() / max(actual.sum(), 1)),
        "calibration_error": _calibration_error(actual, predicted),
        "lift_at_10": float(hits[:top].mean() / rate) if rate > 0 else 0.0,
    }


def _calibration_error(actual: Array, predicted: Array) -> float:
    tenths = np.array_split(np.argsort(predicted, kind="stable"), 10)
    return float(sum(abs(predicted[rows].sum() - actual[rows].sum()) for rows in tenths)) / len(actual)


def figure(actual: Array, predicted: Array, *, title: str) -> Any:
    """Share of responders in each tenth of the rows by prediction with its 90 % interval, beside what was predicted."""
    from matplotlib.figure import Figure

    groups = [rows for rows in np.array_split(np.argsort(predicted, kind="stable"), 10) if len(rows)]
    said, came = (np.array([column[rows].mean() for rows in groups]) for column in (predicted, actual))
    error = 1.645 * np.sqrt(came * (1 - came) / [len(rows) for rows in groups])
    drawn = Figure(figsize=(7, 4.5), layout="constrained")
    axes = drawn.subplots()
    label = "tenths of the rows by prediction, with 90 % intervals"
    axes.errorbar(said, came, yerr=error, fmt="o-", capsize=3, label=label)
    limit = 1.05 * max(float(np.max(said)), float(np.max(came + error)), 0.01)
    axes.plot([0, limit], [0, limit], "--", color="grey", label="perfect calibration")
    axes.set(
        title=title,
        xlabel="mean predicted chance of a response",
        ylabel=f"share that responded ({len(actual):,} rows)",
        xlim=(0, limit),
        ylim=(0, limit),
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:.0%}")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return drawn
