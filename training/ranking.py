"""How good ranked lists are against what was bought next; one number per customer, so that models can be paired."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def hits(ranked: Sequence[Array], bought: Sequence[Array], *, k: int = 10) -> Array:
    """Rows x k: 1 where the product at that place of the list was bought, 0 elsewhere and past the list's end."""
    found = np.zeros((len(ranked), k))
    for row, (items, truth) in enumerate(zip(ranked, bought, strict=True)):
        found[row, : min(k, len(items))] = np.isin(items[:k], truth)
    return found


def recall(found: Array, bought_count: Array) -> Array:
    """The share of each customer's bought products that the list held."""
    shares: Array = found.sum(axis=1) / np.maximum(bought_count, 1)
    return shares


def ndcg(found: Array, bought_count: Array) -> Array:
    """Normalised discounted cumulative gain with binary relevance (Järvelin, Kekäläinen 2002)."""
    discount = 1.0 / np.log2(np.arange(2, found.shape[1] + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(bought_count, found.shape[1])]
    gains: Array = (found @ discount) / np.maximum(ideal, 1e-12)
    return gains


def coverage(ranked: Sequence[Array], catalogue_size: int) -> float:
    """The share of the catalogue that was recommended to anybody."""
    return len(np.unique(np.concatenate(list(ranked)))) / max(catalogue_size, 1)


def novelty(ranked: Sequence[Array], product_ids: Array, shares: Array) -> float:
    """Mean of -log2 of the recommended products' shares of all purchases, in bits; `product_ids` is sorted."""
    items = np.concatenate(list(ranked))
    index = np.minimum(np.searchsorted(product_ids, items), len(product_ids) - 1)
    return float(np.mean(-np.log2(np.maximum(shares[index], 1e-12))))
