"""The recommender that is a function from a history to products: no customer is stored in it.

A product's score is that of the ALS factors, into which the history is folded, raised where the product sells better
lately than before, plus what the customer's own purchases and views of it add.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training import artifact
from training.catalogue import Catalogue
from training.fold_in import FoldIn, confidence
from training.popularity_recommender import SIMILAR, Known, PopularityRecommender
from training.recommend_request import Asked, History
from training.use_case import Columns

Array = np.ndarray[Any, Any]


class HistoryRecommender(PopularityRecommender):
    """ALS x lift ^ trend + repeat x recency-weighted purchases + interest x (views and carts).

    `params` holds `repeat`, `interest` and `trend`, and `new_interest` and `new_trend` for rows without repeats.
    `factors` is catalogue x d; `lift` says for each product how its latest sales compare with those before.
    A history without an eligible product is answered by popularity.
    """

    kind = "als_repeat"

    def __init__(
        self,
        catalogue: Catalogue,
        params: Mapping[str, Any],
        *,
        factors: Array,
        lift: Array,
    ) -> None:
        super().__init__(catalogue, params)
        self.lift = lift.astype(np.float32)
        self._fold_in = FoldIn(factors, regularization=params["regularization"])
        self._raised = {repeats: self.lift ** np.float32(params[name]) for repeats, name in _TREND.items()}

    @property
    def factors(self) -> Array:
        """The products' factors."""
        return self._fold_in.factors

    def supporting(self, inputs: Columns, options: Columns, product_ids: Array) -> list[list[int]]:
        """For each product of one row's answer, up to three products of the history that raised its score most."""
        index, weights, interest = self._known(History.of(inputs, 0))
        if not len(index):
            return [[] for _ in product_ids]
        repeats = self.includes_repeats(Asked.of(options, 0))
        asked, eligible = self.catalogue.positions(product_ids)
        shares = self._fold_in.shares(asked, index, confidence(weights, interest))
        shares *= self._raised[repeats][asked][:, None]
        shares += self._own(weights, interest, repeats) * (asked[:, None] == index)
        order = np.argsort(-shares, axis=1)[:, :3]
        told = iter(
            [int(self.catalogue.product_ids[index[j]]) for j in row if share[j] > 0]
            for row, share in zip(order, shares, strict=True)
        )
        return [next(told) if found else [] for found in eligible]

    def _arrays(self) -> Mapping[str, Array]:
        return {"factors": self.factors, "lift": self.lift}

    def _reason(self) -> str:
        return SIMILAR

    def _own(self, weights: Array, interest: Array, repeats: bool) -> Array:
        own: Array = self.params["repeat"] * weights + self.params[_INTEREST[repeats]] * interest
        return own

    def _scores(self, known: Sequence[Known], repeats: Sequence[bool]) -> Array:
        sure = [(index, confidence(weights, interest)) for index, weights, interest in known]
        scores: Array = self._fold_in.customers(sure) @ self.factors.T
        for row, ((index, weights, interest), wanted) in enumerate(zip(known, repeats, strict=True)):
            scores[row] *= self._raised[wanted]
            scores[row, index] += self._own(weights, interest, wanted)
        return scores


_TREND = {True: "trend", False: "new_trend"}
_INTEREST = {True: "interest", False: "new_interest"}


def load(folder: Path) -> PopularityRecommender:
    """The recommender in an artifact folder."""
    stored = artifact.read(folder)
    catalogue, arrays = Catalogue.of(stored.arrays), stored.arrays
    if stored.kind == PopularityRecommender.kind:
        return PopularityRecommender(catalogue, stored.params)
    return HistoryRecommender(
        catalogue,
        stored.params,
        factors=arrays["factors"],
        lift=arrays["lift"],
    )
