"""The factors of a customer from nothing but a history (Hu, Koren, Volinsky 2008, equation 4)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
INTEREST_WEIGHT = 0.3
"""How much of a purchase's confidence one view gives."""


def confidence(weights: Array, interest: Array) -> Array:
    """How sure a recency-weighted purchase count and interest make ALS of a taste: 1 + log(1 + w)."""
    return 1.0 + np.log1p(weights + INTEREST_WEIGHT * interest)


class FoldIn:
    """Item factors (catalogue x d), and how a history becomes a customer's."""

    def __init__(self, factors: Array, *, regularization: float) -> None:
        self.factors = factors.astype(np.float32)
        wide = self.factors.astype(np.float64)
        self._prior = wide.T @ wide + regularization * np.eye(wide.shape[1])

    def customers(self, histories: Sequence[tuple[Array, Array]]) -> Array:
        """One row of factors per history, each given as catalogue positions and their confidence."""
        size = self.factors.shape[1]
        left, right = np.empty((len(histories), size, size)), np.empty((len(histories), size, 1))
        for row, (index, sure) in enumerate(histories):
            history = self.factors[index].astype(np.float64)
            left[row] = self._normal_matrix(history, sure)
            right[row, :, 0] = sure @ history
        return np.linalg.solve(left, right)[:, :, 0].astype(np.float32)

    def shares(self, asked: Array, index: Array, sure: Array) -> Array:
        """Asked products x history: how much each entry of one history adds to each asked product's score."""
        history = self.factors[index].astype(np.float64)
        solved = np.linalg.solve(self._normal_matrix(history, sure), history.T * sure)
        shares: Array = self.factors[asked].astype(np.float64) @ solved
        return shares

    def _normal_matrix(self, history: Array, sure: Array) -> Array:
        matrix: Array = self._prior + (history.T * (sure - 1.0)) @ history
        return matrix
