"""Two ways to put customers into segments: nearest centre (k-means), and a plain rule on recency and spend."""

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, tabular
from training.columns import object_array
from training.use_case import Columns

Array = np.ndarray[Any, Any]

LOGARITHMIC = ("recency_days", "tx_count", "monetary")
"""Skewed inputs, taken as log(1 + x); what is below 0 counts as 0."""
PROSPECT, PROSPECT_NAME = -1, "No purchase yet"
"""Id and name of those who never bought: they have no recency and no spend to be near or far by."""


class CentreModel:
    """The nearest of k centres in the standardised, weighted space of `space`.

    arrays: centres (k x d), their ids, and the scales of the space. params: names and profiles in the order of the ids.
    """

    kind = "kmeans"

    def __init__(
        self, *, defaults: Mapping[str, float], params: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> None:
        self.defaults = defaults
        self.params = params
        self._arrays = arrays

    @property
    def numbers(self) -> list[int]:
        """The ids of the centres, in their order."""
        numbers: list[int] = self._arrays["ids"].tolist()
        return numbers

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """`cluster_id` and `segment_name` per row; -1, "No purchase yet" for those who never bought."""
        return _answers(
            self.ids(inputs), inputs, self.defaults, dict(zip(self.numbers, self.params["names"], strict=True))
        )

    def predict_one(self, inputs: Mapping[str, float], options: Mapping[str, Any]) -> dict[str, Any]:
        """As `predict`, for the numbers of one row."""
        place = []
        for name, default, low, high, mean, weight in self._scales:
            value = inputs.get(name, math.nan)
            value = default if math.isnan(value) else value
            if name == "tx_count" and value < 1:
                return {"cluster_id": PROSPECT, "segment_name": PROSPECT_NAME}
            if name in LOGARITHMIC:
                value = math.log1p(max(value, 0.0))
            place.append((min(max(value, low), high) - mean) * weight)
        distances = [math.dist(place, centre) for centre in self._centres]
        nearest = distances.index(min(distances))
        return {"cluster_id": self._ids[nearest], "segment_name": self.params["names"][nearest]}

    @cached_property
    def _scales(self) -> list[tuple[Any, ...]]:
        """Of each input: name, default, low, high, mean, weight."""
        columns = (self._arrays[name].tolist() for name in ("low", "high", "means", "weights"))
        return list(zip(self.defaults, self.defaults.values(), *columns, strict=True))

    @cached_property
    def _centres(self) -> list[list[float]]:
        centres: list[list[float]] = self._arrays["centres"].tolist()
        return centres

    @cached_property
    def _ids(self) -> list[int]:
        return self.numbers

    def ids(self, inputs: Columns) -> Array:
        """The id of the nearest centre per row."""
        nearest: Array = self._arrays["ids"][self.distances(inputs).argmin(axis=1)]
        return nearest

    def distances(self, inputs: Columns) -> Array:
        """The Euclidean distance of n rows to k centres, n x k."""
        rows = space(inputs, self.defaults, self._arrays)
        centres = self._arrays["centres"]
        squares = np.square(rows[:, None, :] - centres[None, :, :]).sum(axis=2)
        distances: Array = np.sqrt(squares)
        return distances

    def centres(self) -> Array:
        """The centres, k x d, in the model's space."""
        return self._arrays["centres"]

    def centres_in(self, other: "CentreModel") -> Array:
        """The centres in another model's space."""
        weights = self._arrays["weights"]
        raw = self._arrays["means"] + np.where(
            weights > 0, self._arrays["centres"] / np.where(weights > 0, weights, 1), 0
        )
        return scaled(raw, other._arrays)

    def replaced(self, *, params: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> "CentreModel":
        """The model with other params and arrays; those not given stay."""
        return CentreModel(
            defaults=self.defaults, params={**self.params, **params}, arrays={**self._arrays, **(arrays or {})}
        )

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
        """`cluster_id` (0 is the least valuable) and `segment_name` per row; -1 for those who never bought."""
        values = dict(zip(self.defaults, tabular.matrix(inputs, self.defaults).T, strict=True))
        spend = np.searchsorted(self.params["monetary_thirds"], values["monetary"], side="right")
        recent = values["recency_days"] <= self.params["recency_median"]
        return _answers(2 * spend + recent, inputs, self.defaults, dict(enumerate(self.params["names"])))

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
    """`raw_space` in the units of `scales`: distances there say how alike customers are."""
    return scaled(raw_space(inputs, defaults), scales)


def scaled(raw: Array, scales: Mapping[str, Array]) -> Array:
    """Rows of `raw_space` cut to `low` and `high`, less `means`, times `weights`."""
    rows: Array = (np.clip(raw, scales["low"], scales["high"]) - scales["means"]) * scales["weights"]
    return rows


def _answers(ids: Array, inputs: Columns, defaults: Mapping[str, float], names: Mapping[int, str]) -> dict[str, Array]:
    orders = tabular.matrix(inputs, {"tx_count": defaults["tx_count"]})[:, 0]
    numbers = np.where(orders < 1, PROSPECT, ids).astype(np.int64)
    told = {**names, PROSPECT: PROSPECT_NAME}
    return {"cluster_id": numbers, "segment_name": object_array([told[number] for number in numbers.tolist()])}
