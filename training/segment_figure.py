"""The picture of segments: how many customers each has, what they bought so far, and what they spent next."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from training.use_case import Dataset

Array = np.ndarray[Any, Any]
PROFILE = {
    "days since the last order": ("recency_days", "{:.0f}"),
    "orders so far": ("tx_count", "{:.1f}"),
    "spend so far (money)": ("monetary", "{:,.0f}"),
    "discount on what was bought": ("avg_discount", "{:.1%}"),
}
"""By panel: the column whose mean is shown, and how."""


def profile_figure(ids: Array, names: Mapping[int, str], data: Dataset) -> Any:
    """A matplotlib figure with a panel per measure and a bar per segment, by its number and name."""
    from matplotlib.figure import Figure

    shown = PROFILE | {f"spend in the next {data.extra['next_days']} days (money)": ("label", "{:,.0f}")}
    panels = {"customers": ([float(np.mean(ids == number)) for number in names], "{:.0%}")}
    for title, (column, form) in shown.items():
        values = data.test[column].cast(pl.Float64).to_numpy()
        panels[f"mean {title}"] = ([_mean(values[ids == number]) for number in names], form)
    figure = Figure(figsize=(12, 2.2 + 0.8 * len(names)), layout="constrained")
    figure.suptitle(f"Segments of {len(ids):,} customers as of {data.as_of:%Y-%m-%d}")
    labels = [f"{number}: {name}" for number, name in names.items()]
    for axes, (title, (means, form)) in zip(figure.subplots(2, 3, sharey=True).flat, panels.items(), strict=True):
        bars = axes.barh(labels, means)
        axes.bar_label(bars, [form.format(mean) for mean in means], padding=3)
        axes.margins(x=0.2)
        axes.set_title(title, fontsize="medium")
        axes.tick_params(axis="x", labelbottom=False, length=0)
    return figure


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
