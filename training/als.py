"""Fit the recommenders: item factors by implicit ALS, and the models made of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from training import eligible
from training.catalogue import Catalogue
from training.fold_in import confidence
from training.history_recommender import HistoryRecommender
from training.interactions import INTEREST, Past
from training.popularity_recommender import PopularityRecommender
from training.recommend_request import as_of_day

Array = np.ndarray[Any, Any]
FACTORS, ITERATIONS = 64, 8


def fit_popularity(past: Past, *, by: str = "popularity") -> PopularityRecommender:
    """Products by their recency-weighted purchases, or `by` another column of the eligible ones."""
    catalogue, params, _ = prepare(past, by=by)
    return PopularityRecommender(catalogue, params)


def fit_history(past: Past, blend: Mapping[str, Any]) -> HistoryRecommender:
    """Item factors of the eligible catalogue and a chosen blend; `blend` is part of the model's params."""
    catalogue, params, lift = prepare(past)
    factors = item_factors(past.interactions, catalogue.product_ids, regularization=blend["regularization"])
    params = {**params, "factors": factors.shape[1], "iterations": ITERATIONS, **blend}
    return HistoryRecommender(catalogue, params, factors=factors, lift=lift)


def prepare(past: Past, *, by: str = "popularity") -> tuple[Catalogue, dict[str, Any], Array]:
    """The catalogue, the facts on it that go to the model's params, and the lift of its products."""
    kept, facts = eligible.eligible(past.interactions)
    catalogue = eligible.catalogue(
        past.interactions, kept, products=past.products, customers=past.customers, popularity=by
    )
    return catalogue, {**facts, "as_of_day": as_of_day(past.as_of)}, eligible.lift(kept, past.recent)


def item_factors(
    interactions: pl.DataFrame, product_ids: Array, *, regularization: float, iterations: int = ITERATIONS
) -> Array:
    """Products x d factors; d is smaller than 64 where there are few products."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    values, row, column = entries(interactions, product_ids)
    size = min(FACTORS, max(1, len(product_ids) // 2))
    purchases = _matrix(values.astype(np.float32), row, column, len(product_ids))
    settings: Mapping[str, Any] = {"regularization": regularization, "iterations": iterations, "random_state": 0}
    # implicit runs its own threads; the import above loads a BLAS that was not there to be limited before
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=size, num_threads=2, use_gpu=False, **settings)
        model.fit(purchases, show_progress=False)
    factors: Array = np.asarray(model.item_factors, dtype=np.float32)
    return factors


def entries(interactions: pl.DataFrame, product_ids: Array) -> tuple[Array, Array, Array]:
    """The confidence, row and column of each interaction with one of the products."""
    known = interactions.filter(pl.col("product_id").is_in(product_ids.tolist())).sort("customer_id", "product_id")
    row = np.unique(known["customer_id"].to_numpy(), return_inverse=True)[1]
    interest = known.select(INTEREST.cast(pl.Float64)).to_series().to_numpy()
    column = np.searchsorted(product_ids, known["product_id"].to_numpy())
    return confidence(known["recency_weight"].to_numpy(), interest), row, column


def _matrix(values: Array, row: Array, column: Array, products: int) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((values, (row, column)), shape=(int(row.max(initial=-1)) + 1, products))
