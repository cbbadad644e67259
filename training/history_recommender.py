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
from training.popularity_recommender import REPEAT, SIMILAR, Answer, Known, PopularityRecommender
from training.recommend_request import Asked, History
from training.stored_lists import LENGTH, StoredLists
from training.use_case import Columns

Array = np.ndarray[Any, Any]


class HistoryRecommender(PopularityRecommender):
    """ALS x lift ^ trend + repeat x recency-weighted purchases + interest x (views and carts).

    `params` holds `repeat`, `interest` and `trend`, and `new_interest` and `new_trend` for rows without repeats.
    `factors` is catalogue x d; `lift` says for each product how its latest sales compare with those before.
    `lists` answers rows with default options whose history is one of training. A history without an eligible product
    is answered by popularity.
    """

    kind = "als_repeat"

    def __init__(
        self,
        catalogue: Catalogue,
        params: Mapping[str, Any],
        *,
        factors: Array,
        lift: Array,
        lists: StoredLists | None = None,
    ) -> None:
        super().__init__(catalogue, params)
        self.lift = lift.astype(np.float32)
        self.lists = lists
        self._fold_in = FoldIn(factors, regularization=params["regularization"])
        self._raised = {repeats: self.lift ** np.float32(params[name]) for repeats, name in _TREND.items()}

    @property
    def factors(self) -> Array:
        """The products' factors."""
        return self._fold_in.factors

    def with_lists(self, histories: Sequence[History]) -> "HistoryRecommender":
        """The same model with the lists of these histories stored, of those with an eligible product."""
        histories = [history for history in histories if len(self.catalogue.positions(history.product_ids)[0])]
        asked = Asked.of({"k": np.array([LENGTH])}, 0)
        shape = (len(histories), LENGTH)
        positions, scores, bought = np.full(shape, -1, np.int32), np.zeros(shape, np.float32), np.zeros(shape, bool)
        answers = self.computed([(history, asked) for history in histories])
        for row, (ids, values, reasons) in enumerate(answers):
            index, known = self.catalogue.positions(ids)  # what fills a short list up is not eligible
            positions[row, : len(index)], scores[row, : len(index)] = index, values[known]
            bought[row, : len(index)] = reasons[known] == REPEAT
        digests = np.array([history.digest() for history in histories], dtype=np.uint64)
        lists = StoredLists.of(digests, positions, scores, bought)
        return HistoryRecommender(self.catalogue, self.params, factors=self.factors, lift=self.lift, lists=lists)

    def predict_known(self, digest: int, k: int, as_of_day: float) -> dict[str, list[Any]] | None:
        """As `predict`, for one row without options whose history has this digest; None where no list is stored."""
        found = self._list(digest, k, as_of_day)
        if found is None:
            return None
        positions, scores, bought = found
        reasons = [REPEAT if own else SIMILAR for own in bought.tolist()]
        ids = self.catalogue.product_ids[positions].tolist()
        return {"item_ids": ids, "item_scores": scores.astype(np.float64).tolist(), "item_reasons": reasons}

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
        lists = self.lists.arrays() if self.lists else {}
        return {"factors": self.factors, "lift": self.lift, **lists}

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

    def _known_ahead(self, history: History, asked: Asked) -> Answer | None:
        """Stored lists, too."""
        popular = super()._known_ahead(history, asked)
        if popular is not None or self.lists is None or asked.filters or not len(history.product_ids):
            return popular
        found = self._list(history.digest(), asked.k, self._day(asked))
        if found is None:
            return None
        positions, scores, _ = found
        return self._told(self.catalogue.product_ids[positions], scores.astype(np.float64), history, asked, SIMILAR)

    def _list(self, digest: int, k: int, as_of_day: float) -> tuple[Array, Array, Array] | None:
        if self.lists is None or as_of_day != self.params.get("as_of_day", np.inf):
            return None
        return self.lists.find(digest, k)


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
        lists=StoredLists.load(arrays),
    )
