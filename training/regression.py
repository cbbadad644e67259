"""How good predicted amounts are: error, ranking, calibration, and the figure that shows them."""

from typing import Any

import numpy as np

from training.use_case import Metrics

Array = np.ndarray[Any, Any]


def metrics(actual: Array, predicted: Array) -> Metrics:
    """Holdout metrics of n predicted amounts.

    `mae` and `rmse` are in the amount's unit; `r2` is 1 less the squared error over that of the test mean;
    `gini` is the normalised Gini (1 for a perfect order, 0 for none) and `spearman` the rank correlation;
    `calibration` is the predicted sum over the actual one; `decile_error` is the mean distance of the two in tenths of
    the rows by prediction, over the actual mean.
    """
    error = predicted - actual
    total, variance = float(actual.sum()), float(np.var(actual))
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "r2": 1 - float(np.square(error).mean()) / variance if variance > 0 else 0.0,
        "gini": normalised_gini(actual, predicted),
        "spearman": rank_correlation(actual, predicted),
        "calibration": float(predicted.sum()) / total if total > 0 else 0.0,
        "decile_error": _decile_error(actual, predicted) if total > 0 else 0.0,
    }


def interval_metrics(actual: Array, low: Array, high: Array) -> Metrics:
    """`coverage_80`, the share of actual amounts within the interval, `below_p10` and `above_p90`, the others', and
    `interval_width`, the mean width over the mean amount.
    """
    width = float((high - low).mean()) / max(float(np.abs(actual).mean()), 1e-12)
    return {
        "coverage_80": float(((actual >= low) & (actual <= high)).mean()),
        "below_p10": float((actual < low).mean()),
        "above_p90": float((actual > high).mean()),
        "interval_width": width,
    }


def normalised_gini(actual: Array, predicted: Array) -> float:
    """The Gini index of the actual amounts in the order of the predictions, over that in their own order."""
    best = _gini(actual, actual)
    return _gini(actual, predicted) / best if best > 0 else 0.0


def rank_correlation(left: Array, right: Array) -> float:
    """Spearman's rho, ties sharing their rank; 0 where one of them never varies."""
    return _correlation(ranks(left), ranks(right))


def decile_figure(actual: Array, predicted: Array, *, title: str) -> Any:
    """A matplotlib figure: mean predicted and mean actual amount in each tenth of the rows by prediction."""
    from matplotlib.figure import Figure

    order = np.array_split(np.argsort(predicted, kind="stable"), 10)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    positions = np.arange(1, 11)
    for shift, values, label in ((-0.2, predicted, "predicted"), (0.2, actual, "actual")):
        axes.bar(positions + shift, [values[rows].mean() if len(rows) else 0 for rows in order], 0.4, label=label)
    axes.set(
        title=title,
        xlabel=f"tenth of the {len(actual):,} customers by prediction, lowest first",
        ylabel="mean per customer (money)",
        xticks=positions,
    )
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend()
    return figure


def _decile_error(actual: Array, predicted: Array) -> float:
    tenths = np.array_split(np.argsort(predicted, kind="stable"), 10)
    apart = [abs(float(predicted[rows].mean() - actual[rows].mean())) for rows in tenths if len(rows)]
    return float(np.mean(apart)) / float(actual.mean())


def _gini(actual: Array, by: Array) -> float:
    """Twice the covariance of amount and rank over the mean; tied rows share their rank, so a constant scores 0."""
    shares = ranks(by) / len(by)
    return 2 * float(np.mean((actual - actual.mean()) * shares)) / max(float(actual.mean()), 1e-12)


def ranks(values: Array) -> Array:
    """The rank of each value from 1, tied ones sharing theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: Array = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return found


def _correlation(left: Array, right: Array) -> float:
    spread = float(left.std() * right.std())
    return float(np.mean((left - left.mean()) * (right - right.mean()))) / spread if spread > 0 else 0.0
