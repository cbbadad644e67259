"""Named baselines of the recommender, for comparison only: own history, BM25 neighbours, EASE."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training import als
from training.catalogue import Catalogue
from training.fold_in import confidence
from training.interactions import Past
from training.popularity_recommender import Known, PopularityRecommender

Array = np.ndarray[Any, Any]
EASE_PRODUCTS = 3000
EASE_REGULARIZATION = 500.0
NEIGHBOURS = 200


class OwnHistory(PopularityRecommender):
    """What the customer bought most and latest (and with `interest` looked at most), then popularity."""

    kind = "own_history"

    def __init__(self, popular: PopularityRecommender, *, interest: float) -> None:
        super().__init__(popular.catalogue, popular.params)
        self._interest = interest
        self._tie = popular.catalogue.popularity / (1e9 * max(float(popular.catalogue.popularity.max(initial=0)), 1.0))

    def _scores(self, known: Sequence[Known], repeats: Sequence[bool]) -> Array:
        scores = np.tile(self._tie.astype(np.float64), (len(known), 1))
        for score, (index, weights, interest) in zip(scores, known, strict=True):
            score[index] += weights + self._interest * interest
        return scores


class ItemItem(PopularityRecommender):
    """A product's score is the sum of its similarities to the history's products (`similarity`: rows are those)."""

    kind = "item_item"

    def __init__(self, catalogue: Catalogue, params: Any, similarity: Any, *, binary: bool) -> None:
        super().__init__(catalogue, params)
        self._similarity, self._binary = similarity, binary

    def _scores(self, known: Sequence[Known], repeats: Sequence[bool]) -> Array:
        from scipy.sparse import csr_matrix

        lengths = [len(index) for index, _, _ in known]
        values = [np.ones(len(index)) if self._binary else confidence(*rest) for index, *rest in known]
        parts = (
            np.concatenate([np.empty(0), *values]),
            np.concatenate([np.empty(0, np.int64), *(index for index, _, _ in known)]),
            np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        )
        shape = (len(known), len(self.catalogue.product_ids))
        scores = csr_matrix(parts, shape=shape) @ self._similarity
        dense: Array = scores if isinstance(scores, np.ndarray) else scores.toarray()
        return dense.astype(np.float32)


def bm25(popular: PopularityRecommender, past: Past) -> ItemItem:
    """Item neighbours by BM25, as implicit computes them."""
    from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight

    # what BM25Recommender does, which warns of its own matrix's format
    weighted = bm25_weight(_purchases(popular, past).T, K1=1.2, B=0.75).T.tocsr()
    model = ItemItemRecommender(K=NEIGHBOURS, num_threads=2)
    model.fit(weighted, show_progress=False)
    return ItemItem(popular.catalogue, popular.params, model.similarity, binary=False)


def ease(popular: PopularityRecommender, past: Past) -> ItemItem:
    """Embarrassingly shallow autoencoders (Steck 2019); the inverse of a products x products matrix."""
    purchases = _purchases(popular, past)
    purchases.data[:] = 1.0
    gram = (purchases.T @ purchases).toarray()
    gram[np.diag_indices_from(gram)] += EASE_REGULARIZATION
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return ItemItem(popular.catalogue, popular.params, weights.astype(np.float32), binary=True)


def _purchases(popular: PopularityRecommender, past: Past) -> Any:
    from scipy.sparse import csr_matrix

    values, row, column = als.entries(past.interactions, popular.catalogue.product_ids)
    shape = (int(row.max(initial=-1)) + 1, len(popular.catalogue.product_ids))
    return csr_matrix((values.astype(np.float64), (row, column)), shape=shape)
