"""The gain curve: what share of all that came is found among the rows with the highest answers."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def gain_curve(actual: Array, predicted: Array) -> tuple[Array, Array]:
    """Shares of rows, highest answers first, and the share of the label's sum that they hold; both begin with 0."""
    held = np.cumsum(actual[np.argsort(-predicted, kind="stable")])
    total = held[-1] if len(held) and held[-1] > 0 else 1.0
    return np.arange(len(actual) + 1) / max(len(actual), 1), np.concatenate([[0.0], held / total])


def gain_figure(actual: Array, predicted: Array, *, title: str) -> Any:
    """A matplotlib figure of the curve, beside the best order there is and no order at all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(*gain_curve(actual, predicted), label="model")
    axes.plot(*gain_curve(actual, actual), ":", color="grey", label="perfect order")
    axes.plot([0, 1], [0, 1], "--", color="grey", label="no order")
    axes.set(title=title, xlabel="share of the rows, highest answers first", ylabel="share of all that came")
    axes.legend()
    return figure
