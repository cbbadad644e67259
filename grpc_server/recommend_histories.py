"""What the recommender is asked with: histories from the snapshot and the request, countries of cold customers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grpc_server.online_features import FeatureSnapshot
from grpc_server.recommend_options import RecommendOptions, product_ids
from training.columns import object_array
from training.recommend_request import HISTORY

Array = np.ndarray[Any, Any]


def histories(
    snapshot: FeatureSnapshot | None,
    positions: Array,
    asked: Sequence[RecommendOptions],
    products: FeatureSnapshot | None,
) -> dict[str, Array]:
    """The model's inputs: each item's history in the lake, and its recent products, if the lake has them, as of today.

    A recent product counts as one purchase.
    """
    rows = [
        _with_recent(snapshot.history(position) if snapshot else _nothing(), _known(item.recent_product_ids, products))
        for position, item in zip(positions.tolist(), asked, strict=True)
    ]
    return {name: object_array([row[place] for row in rows]) for place, name in enumerate(HISTORY)}


def with_country(asked: RecommendOptions, customers: FeatureSnapshot | None, customer_id: int) -> RecommendOptions:
    """The options with the country that the lake has for the customer, where the request gives none."""
    if asked.country or customers is None:
        return asked
    return replace(asked, country=customers.text("country", customers.positions(np.array([customer_id]))[0]))


def _known(recent: Sequence[str], products: FeatureSnapshot | None) -> Array:
    ids = product_ids(recent)
    return ids[products.positions(ids) >= 0] if len(ids) and products else ids


def _nothing() -> tuple[Array, ...]:
    return (np.empty(0, np.int64), *(np.empty(0) for _ in list(HISTORY)[1:]))


def _with_recent(history: tuple[Array, ...], recent: Array) -> tuple[Array, ...]:
    """One purchase of weight 1 for each recent product, added to what is there; sorted by product."""
    if not len(recent):
        return history
    ids, (weights, *others) = history[0], history[1:]
    every = np.union1d(ids, recent)
    spread = [np.zeros(len(every)) for _ in history[1:]]
    for column, values in zip(spread, (weights, *others), strict=True):
        column[np.searchsorted(every, ids)] = values
    np.add.at(spread[0], np.searchsorted(every, recent), 1.0)
    return (every, *spread)
