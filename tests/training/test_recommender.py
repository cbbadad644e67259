"""Recommendations: a function from history to products, as implicit computes it."""

import numpy as np

from training import columns
from training.history_recommender import PopularityRecommender
from training.use_cases import get


def ask(model, products, weights, k):
    """One customer's list."""
    inputs = {
        "history_product_ids": columns.object_array([np.array(products, dtype=np.int64)]),
        "history_weights": columns.object_array([np.array(weights, dtype=np.float64)]),
    }
    return {name: column[0] for name, column in model.predict(inputs, {"k": np.array([k])}).items()}


def test_an_empty_history_gets_the_most_popular():
    """Also one of unknown products, and no more than the catalogue has."""
    model = PopularityRecommender(np.array([5, 6, 8]), np.array([9, 3, 4]), {"catalogue_size": 3})
    assert list(ask(model, [], [], 2)["item_ids"]) == [5, 8]
    assert list(ask(model, [404], [1.0], 10)["item_ids"]) == [5, 8, 6]


def test_a_fitted_model_knows_what_is_bought_again(tiny_lake):
    """A product with a heavy history is recommended as a repeat, and every list is distinct and ordered."""
    data = get("recommender").dataset(tiny_lake)
    model = get("recommender").fit(data)
    product = int(data.train["product_id"][0])
    answer = ask(model, [product], [50.0], 10)
    items, scores = list(answer["item_ids"]), list(answer["item_scores"])
    assert len(set(items)) == len(items) == 10
    assert scores == sorted(scores, reverse=True)
    assert all(reason in ("repeat", "similar", "popular") for reason in answer["item_reasons"])
    if model.params.get("repeat", 0) > 0 and product in items:
        assert answer["item_reasons"][items.index(product)] == "repeat"
    assert list(ask(model, [], [], 10)["item_reasons"]) == ["popular"] * 10
