"""Recommenders that are functions from a purchase history to products: no customer is stored in them.

`HistoryRecommender` adds how often the customer bought a product (recency-weighted) to the score of the ALS factors,
into which the history is folded at request time (Hu, Koren, Volinsky 2008, equation 4).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact, columns
from training.use_case import Columns

Array = np.ndarray[Any, Any]
DEFAULT_K = 10
BLOCK_ROWS = 256


def confidence(weights: Array) -> Array:
    """How sure a recency-weighted purchase count makes ALS of a taste: 1 for a mere view, growing with its log."""
    return 1.0 + np.log1p(weights)


class PopularityRecommender:
    """The baseline: everybody gets the products with the highest popularity, their own history ignored.

    `product_ids` is the eligible catalogue, sorted; `popularity` one number per product.
    """

    kind = "baseline"

    def __init__(self, product_ids: Array, popularity: Array, params: Mapping[str, Any]) -> None:
        self.product_ids = product_ids.astype(np.int64)
        self.popularity = popularity.astype(np.float32)
        self.defaults: Mapping[str, float] = {}
        self.params = params

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """The k best products per row, best first, with scores and reasons; `k` is 10 where the option is absent."""
        count = columns.row_count(inputs, options)
        k = np.minimum(options.get("k", np.full(count, DEFAULT_K)), len(self.product_ids)).astype(int)
        order = best(self.popularity[None, :], int(k.max(initial=0)))[0]
        ids, scores = self.product_ids[order], self.popularity[order].astype(np.float64)
        return {
            "item_ids": columns.object_array([ids[:n] for n in k]),
            "item_scores": columns.object_array([scores[:n] for n in k]),
            "item_reasons": columns.object_array([columns.object_array(["popular"] * n) for n in k]),
        }

    def supporting(self, inputs: Columns, product_ids: Array) -> list[list[int]]:
        """The purchases that each product rests on: none, as nobody's history is used."""
        return [[] for _ in product_ids]

    def save(self, folder: Path) -> None:
        """Write catalogue and popularity."""
        self._write(folder, {})

    def _write(self, folder: Path, arrays: Mapping[str, Array]) -> None:
        own: dict[str, Array] = {"product_ids": self.product_ids, "popularity": self.popularity}
        artifact.write(
            folder, use_case="recommender", kind=self.kind, params=self.params, arrays={**own, **dict(arrays)}
        )


class HistoryRecommender(PopularityRecommender):
    """ALS folded in from the history, plus `params["repeat"]` times the recency-weighted purchase count.

    `factors` is catalogue x d. An empty history, or one without a product of the catalogue, is answered by popularity.
    """

    kind = "als_repeat"

    def __init__(self, product_ids: Array, popularity: Array, params: Mapping[str, Any], *, factors: Array) -> None:
        super().__init__(product_ids, popularity, params)
        self.factors = factors.astype(np.float32)
        wide = self.factors.astype(np.float64)
        self._prior = wide.T @ wide + params["regularization"] * np.eye(wide.shape[1])

    def predict(self, inputs: Columns, options: Columns) -> dict[str, Array]:
        """As the baseline; reasons are "repeat" (bought before), "similar" (from the factors) or "popular"."""
        count = columns.row_count(inputs, options)
        k = np.minimum(options.get("k", np.full(count, DEFAULT_K)), len(self.product_ids)).astype(int)
        answers = [row for rows in _blocks(count) for row in self._block(inputs, rows, k[rows])]
        outputs = ("item_ids", "item_scores", "item_reasons")
        return {name: columns.object_array([answer[i] for answer in answers]) for i, name in enumerate(outputs)}

    def supporting(self, inputs: Columns, product_ids: Array) -> list[list[int]]:
        """For each product of one row's answer, up to three purchases that raised its score most, strongest first."""
        index, weights = self._history(inputs, 0)
        if not len(index):
            return [[] for _ in product_ids]
        history = self.factors[index].astype(np.float64)
        asked = np.searchsorted(self.product_ids, product_ids)
        solved = np.linalg.solve(self._normal_matrix(history, weights), history.T * confidence(weights))
        shares = self.factors[asked].astype(np.float64) @ solved
        shares += self.params["repeat"] * weights * (asked[:, None] == index)
        order = np.argsort(-shares, axis=1)[:, :3]
        return [
            [int(self.product_ids[index[j]]) for j in row if share[j] > 0]
            for row, share in zip(order, shares, strict=True)
        ]

    def save(self, folder: Path) -> None:
        """Write catalogue, popularity and item factors."""
        self._write(folder, {"factors": self.factors})

    def _block(self, inputs: Columns, rows: Array, k: Array) -> Iterator[tuple[Array, Array, Array]]:
        histories = [self._history(inputs, row) for row in rows]
        scores = self._users(histories) @ self.factors.T
        for score, (index, weights) in zip(scores, histories, strict=True):
            score[index] += self.params["repeat"] * weights
            if not len(index):
                score[:] = self.popularity
        top = best(scores, int(k.max(initial=0)))
        for order, score, (index, weights), n in zip(top, scores, histories, k, strict=True):
            chosen = order[:n]
            other = "similar" if len(index) else "popular"
            bought = set(index[weights > 0].tolist())
            reasons = ["repeat" if item in bought else other for item in chosen.tolist()]
            yield self.product_ids[chosen], score[chosen].astype(np.float64), columns.object_array(reasons)

    def _history(self, inputs: Columns, row: int) -> tuple[Array, Array]:
        """Catalogue positions and weights of one row's history; products outside the catalogue are left out."""
        if "history_product_ids" not in inputs:
            return np.empty(0, np.int64), np.empty(0)
        ids = np.asarray(inputs["history_product_ids"][row], np.int64)
        index = np.minimum(np.searchsorted(self.product_ids, ids), len(self.product_ids) - 1)
        known = self.product_ids[index] == ids
        return index[known], np.asarray(inputs["history_weights"][row], np.float64)[known]

    def _normal_matrix(self, history: Array, weights: Array) -> Array:
        matrix: Array = self._prior + (history.T * (confidence(weights) - 1.0)) @ history
        return matrix

    def _users(self, histories: list[tuple[Array, Array]]) -> Array:
        """Fold histories in: one row of user factors each, by solving their normal equations together."""
        size = self.factors.shape[1]
        left, right = np.empty((len(histories), size, size)), np.empty((len(histories), size, 1))
        for row, (index, weights) in enumerate(histories):
            history = self.factors[index].astype(np.float64)
            left[row] = self._normal_matrix(history, weights)
            right[row, :, 0] = confidence(weights) @ history
        return np.linalg.solve(left, right)[:, :, 0].astype(np.float32)


def load(folder: Path) -> PopularityRecommender:
    """The recommender in an artifact folder."""
    stored = artifact.read(folder)
    ids, popularity = stored.arrays["product_ids"], stored.arrays["popularity"]
    if stored.kind == PopularityRecommender.kind:
        return PopularityRecommender(ids, popularity, stored.params)
    return HistoryRecommender(ids, popularity, stored.params, factors=stored.arrays["factors"])


def best(scores: Array, k: int) -> Array:
    """Positions of the k highest scores of each row, highest first, ties by position."""
    if k >= scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    top = np.sort(np.argpartition(-scores, k, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)


def _blocks(count: int) -> Iterator[Array]:
    for start in range(0, count, BLOCK_ROWS):
        yield np.arange(start, min(start + BLOCK_ROWS, count))
