"""The gain curve: what share of all that came is found among the rows with the highest answers."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
TOP = 0.2
"""Share of the rows of which the figure says what they bring."""


def gain_curve(actual: Array, predicted: Array) -> tuple[Array, Array]:
    """Shares of rows, highest answers first, and the share of the label's sum that they hold; both begin with 0."""
    held = np.cumsum(actual[np.argsort(-predicted, kind="stable")])
    total = held[-1] if len(held) and held[-1] > 0 else 1.0
    return np.arange(len(actual) + 1) / max(len(actual), 1), np.concatenate([[0.0], held / total])


def gain_figure(actual: Array, predicted: Array, *, title: str) -> Any:
    """A matplotlib figure of the curve, beside the best order there is and no order at all."""
    from matplotlib.figure import Figure

    rows, held = gain_curve(actual, predicted)
    first = float(np.interp(TOP, rows, held))
    what = "responses" if np.isin(actual, (0, 1)).all() else "amount"
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(rows, held, label=f"model: the first {TOP:.0%} bring {first:.0%}")
    axes.plot(*gain_curve(actual, actual), ":", color="grey", label="perfect order")
    axes.plot([0, 1], [0, 1], "--", color="grey", label="no order")
    axes.plot([TOP, TOP, 0], [0, first, first], color="tab:blue", linewidth=0.8, alpha=0.6)
    axes.set(
        title=title,
        xlabel=f"share of the {len(actual):,} test rows, highest answers first",
        ylabel=f"share of the whole {what} that they bring" if what == "amount" else f"share of all {what}",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:.0%}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure
