"""Boosted trees at run time: raw scores from ONNX, and exact additive contributions in NumPy.

A leaf is a box: for each input on its path a range (low, high], and the share of training rows that lay within it among
those that reached the box's other inputs. That is all that path-dependent SHAP values need (Lundberg et al. 2020,
"From local explanations to global understanding with explainable AI for trees").
"""

from collections.abc import Mapping, Sequence
from math import factorial
from typing import Any

import numpy as np

from training.onnx_runtime import OnnxFunction

Array = np.ndarray[Any, Any]
FILE = "trees.onnx"


class Trees:
    """One or more ensembles over the same inputs; `boxes` are the leaves of the first, the only one that is explained.

    `boxes` holds value (leaves), and feature, low, high, share (leaves x places); a place without input has share 1.
    """

    def __init__(self, function: OnnxFunction, boxes: Mapping[str, Array]) -> None:
        self.function = function
        self.boxes = boxes

    def scores(self, matrix: Array) -> Array:
        """The ensembles' raw scores, n x ensembles; of 32-bit precision."""
        return np.asarray(self.function(matrix), dtype=np.float64).reshape(len(matrix), -1)

    def scores_of(self, row: Sequence[float]) -> list[float]:
        """The raw scores of one row, of each ensemble."""
        scores: list[float] = self.function(np.array([row], dtype=np.float32)).ravel().tolist()
        return scores

    def contributions(self, row: Array) -> tuple[float, Array]:
        """The first ensemble's mean score over its training rows, and what each input of one row adds to it."""
        row = row.astype(np.float32).astype(np.float64)
        share, feature, value = (self.boxes[name] for name in ("share", "feature", "value"))
        within = ((row[feature] > self.boxes["low"]) & (row[feature] <= self.boxes["high"])).astype(np.float64)
        added = np.zeros(len(row))
        places = share.shape[1]
        for place in range(places):
            others = [other for other in range(places) if other != place]
            gained = value * (within[:, place] - share[:, place]) * _expected(share[:, others], within[:, others])
            np.add.at(added, feature[:, place], gained)
        return float((value * share.prod(axis=1)).sum()), added

    def arrays(self) -> dict[str, Array]:
        """The boxes as arrays of an artifact."""
        return {f"box_{name}": array for name, array in self.boxes.items()}

    @classmethod
    def load(cls, content: bytes, arrays: Mapping[str, Array]) -> "Trees":
        """The inverse of `arrays`, with the ONNX file's content."""
        boxes = {name.removeprefix("box_"): array for name, array in arrays.items() if name.startswith("box_")}
        return cls(OnnxFunction(content), boxes)


def _expected(share: Array, within: Array) -> Array:
    """The Shapley-weighted mean, over sets of inputs, of the chance to be in the box when only the set is known."""
    count = share.shape[1]
    by_size = np.zeros((len(share), count + 1))
    by_size[:, 0] = 1.0
    for place in range(count):
        known = by_size[:, :-1] * within[:, place, None]
        by_size *= share[:, place, None]
        by_size[:, 1:] += known
    weights = [factorial(size) * factorial(count - size) / factorial(count + 1) for size in range(count + 1)]
    mean: Array = by_size @ np.array(weights)
    return mean
