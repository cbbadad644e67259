"""Two ways to put customers into segments: nearest centre (k-means), and a plain rule on recency and spend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, tabular
from training.columns import object_array
from training.use_case import Columns

Array = np.ndarray[Any, Any]

LOGARITHMIC = ("recency_days", "tx_count", "monetary")
"""Skewed inputs, taken as log(1 + x); what is below 0 counts as 0."""
SPEND_WORDS = ("Minimal", "Low", "Modest", "Medium", "Good", "High", "Very high", "Top")


class CentreModel:
    """The nearest of k centres in the standardised, weighted space of `space`; ids rise with the centre's spend."""

    kind = "kmeans"

    def __init__(
        self, *, defaults: Mapping[str, float], params: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> None:
        self.defaults = defaults
        self.params = params
        self._arrays = arrays

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """`cluster_id` (integer, 0 is the least valuable) and `segment_name` per row."""
        return _named(self.distances(inputs).argmin(axis=1), self.params["names"])

    def distances(self, inputs: Columns) -> Array:
        """The Euclidean distance of n rows to k centres, n x k."""
        rows = space(inputs, self.defaults, self._arrays)
        centres = self._arrays["centres"]
        squares = np.square(rows[:, None, :] - centres[None, :, :]).sum(axis=2)
        distances: Array = np.sqrt(squares)
        return distances

    def save(self, folder: Path) -> None:
        """Write centres and scales as npz, names as JSON."""
        artifact.write(
            folder,
            use_case="segmentation",
            kind=self.kind,
            inputs=list(self.defaults),
            defaults=self.defaults,
            params=self.params,
            arrays=self._arrays,
        )

    @classmethod
    def load(cls, stored: artifact.Artifact) -> "CentreModel":
        """The inverse of `save`."""
        return cls(defaults=stored.defaults, params=stored.params, arrays=stored.arrays)


class RuleModel:
    """Three thirds of spend, each halved by recency: six segments that anybody can recompute."""

    kind = "baseline"

    def __init__(self, *, defaults: Mapping[str, float], params: Mapping[str, Any]) -> None:
        self.defaults = defaults
        self.params = params

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """`cluster_id` (integer, 0 is the least valuable) and `segment_name` per row."""
        values = dict(zip(self.defaults, tabular.matrix(inputs, self.defaults).T, strict=True))
        spend = np.searchsorted(self.params["monetary_thirds"], values["monetary"], side="right")
        recent = values["recency_days"] <= self.params["recency_median"]
        return _named(2 * spend + recent, self.params["names"])

    def save(self, folder: Path) -> None:
        """Write the rule's limits."""
        artifact.write(
            folder,
            use_case="segmentation",
            kind=self.kind,
            inputs=list(self.defaults),
            defaults=self.defaults,
            params=self.params,
        )

    @classmethod
    def load(cls, stored: artifact.Artifact) -> "RuleModel":
        """The inverse of `save`."""
        return cls(defaults=stored.defaults, params=stored.params)


def raw_space(inputs: Columns, defaults: Mapping[str, float]) -> Array:
    """The inputs as an n x d matrix, skewed ones as logarithms."""
    matrix = tabular.matrix(inputs, defaults)
    for column, name in enumerate(defaults):
        if name in LOGARITHMIC:
            matrix[:, column] = np.log1p(np.maximum(matrix[:, column], 0.0))
    return matrix


def space(inputs: Columns, defaults: Mapping[str, float], scales: Mapping[str, Array]) -> Array:
    """`raw_space` less `scales["means"]`, times `scales["weights"]`: distances there say how alike customers are."""
    scaled: Array = (raw_space(inputs, defaults) - scales["means"]) * scales["weights"]
    return scaled


def spend_names(count: int, recent: Array) -> list[str]:
    """Distinct names for segments in the order of their spend; `recent` says which bought lately."""
    picks = np.linspace(0, len(SPEND_WORDS) - 1, count).round().astype(int) if count > 1 else [len(SPEND_WORDS) - 1]
    return [
        f"{SPEND_WORDS[pick]} spend, {'recent' if is_recent else 'lapsing'}"
        for pick, is_recent in zip(picks, recent, strict=True)
    ]


def _named(ids: Array, names: list[str]) -> dict[str, Array]:
    return {"cluster_id": ids.astype(np.int64), "segment_name": object_array([names[number] for number in ids])}
