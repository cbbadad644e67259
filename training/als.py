"""Fit the recommenders: the eligible catalogue, its popularity, and item factors by implicit ALS."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from training import columns, ranking
from training.history_recommender import HistoryRecommender, PopularityRecommender, confidence
from training.use_case import Columns

Array = np.ndarray[Any, Any]
BUYERS = (20, 10, 5, 2, 1)
MAX_PRODUCTS = 30_000
SOLD_WITHIN_DAYS = 90.0
FACTORS, REGULARIZATION, ITERATIONS = 32, 20.0, 10
REPEATS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Tried for the weight of own purchases: groceries are bought again, fashion hardly is."""


def catalogue(interactions: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The products that may be recommended, by id, with `buyers`, `popularity` and `purchases`, and what chose them.

    Eligible is what was sold lately to enough customers; "enough" is the most that keeps half of all purchases.
    """
    products = (
        interactions.filter(pl.col("purchase_count") > 0)
        .group_by("product_id")
        .agg(
            buyers=pl.len(),
            popularity=pl.col("recency_weight").sum(),
            purchases=pl.col("purchase_count").sum(),
            last_sold_days=pl.col("recency_days").min(),
        )
    )
    sold = products.filter(pl.col("last_sold_days") <= SOLD_WITHIN_DAYS)
    half = sold.select(pl.col("purchases").sum()).item() / 2
    enough = (n for n in BUYERS if sold.filter(pl.col("buyers") >= n).select(pl.col("purchases").sum()).item() >= half)
    minimum = next(enough, 1)
    kept = sold.filter(pl.col("buyers") >= minimum).top_k(MAX_PRODUCTS, by="buyers").sort("product_id")
    facts = {"catalogue_size": kept.height, "min_buyers": minimum, "sold_within_days": SOLD_WITHIN_DAYS}
    return kept, facts


def fit_popularity(interactions: pl.DataFrame, *, by: str = "popularity") -> PopularityRecommender:
    """Products by their recency-weighted purchases, or `by` another column of the catalogue."""
    products, facts = catalogue(interactions)
    return PopularityRecommender(products["product_id"].to_numpy(), products[by].to_numpy(), facts)


def fit_history(interactions: pl.DataFrame, *, repeat: float) -> HistoryRecommender:
    """Item factors of the eligible catalogue, blended with own purchases weighted by `repeat`."""
    products, facts = catalogue(interactions)
    ids = products["product_id"].to_numpy()
    params = {
        **facts,
        "factors": FACTORS,
        "regularization": REGULARIZATION,
        "iterations": ITERATIONS,
        "repeat": repeat,
    }
    factors = _item_factors(interactions, ids)
    return HistoryRecommender(ids, products["popularity"].to_numpy(), params, factors=factors)


def choose_repeat(interactions: pl.DataFrame, rows: pl.DataFrame, *, sample: int = 500) -> float:
    """The weight of own purchases with the best NDCG@10 on `rows`, whose purchases came after `interactions`."""
    rows = rows.sample(min(sample, rows.height), seed=0)
    model = fit_history(interactions, repeat=0.0)
    scores = {repeat: _ndcg(with_repeat(model, repeat), rows) for repeat in REPEATS}
    return max(scores, key=lambda repeat: scores[repeat])


def with_repeat(model: HistoryRecommender, repeat: float) -> HistoryRecommender:
    """The same factors, own purchases weighted otherwise."""
    params = {**model.params, "repeat": repeat}
    return HistoryRecommender(model.product_ids, model.popularity, params, factors=model.factors)


def history_columns(rows: pl.DataFrame) -> Columns:
    """The model's inputs from rows with the list columns `history_product_ids` and `history_weights`."""
    return {
        name: columns.object_array([entry.to_numpy() for entry in rows[name]])
        for name in ("history_product_ids", "history_weights")
    }


def _ndcg(model: HistoryRecommender, rows: pl.DataFrame) -> float:
    ranked = model.predict(history_columns(rows), {})["item_ids"]
    found = ranking.hits(list(ranked), [entry.to_numpy() for entry in rows["bought"]])
    return float(ranking.ndcg(found, rows["bought"].list.len().to_numpy()).mean())


def _item_factors(interactions: pl.DataFrame, product_ids: Array) -> Array:
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    known = interactions.filter(pl.col("product_id").is_in(product_ids.tolist())).sort("customer_id", "product_id")
    customers, row = np.unique(known["customer_id"].to_numpy(), return_inverse=True)
    column = np.searchsorted(product_ids, known["product_id"].to_numpy())
    values = confidence(known["recency_weight"].to_numpy()).astype(np.float32)
    purchases = csr_matrix((values, (row, column)), shape=(len(customers), len(product_ids)))
    settings: Mapping[str, Any] = {"regularization": REGULARIZATION, "iterations": ITERATIONS, "random_state": 0}
    # implicit runs its own threads; a threaded BLAS under them is ten times slower
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=FACTORS, num_threads=2, use_gpu=False, **settings)
        model.fit(purchases, show_progress=False)
    factors: Array = np.asarray(model.item_factors, dtype=np.float32)
    return factors
