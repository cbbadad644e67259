"""How good a recommender's lists are for test customers: numbers per customer, so that customers can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training import ranking
from training.use_case import Metrics, Model

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, Any]
K = 10


def ranked(model: Model, rows: pl.DataFrame, k: int = K, **options: float) -> list[Array]:
    """The list that each customer gets, with the same options for all."""
    from training.interactions import history_columns

    asked = {"k": np.full(rows.height, k), **{name: np.full(rows.height, value) for name, value in options.items()}}
    return list(model.predict(history_columns(rows), asked)["item_ids"])


def ndcg(lists: list[Array], rows: pl.DataFrame) -> Array:
    """NDCG@10 of each customer's list."""
    return ranking.ndcg(_found(lists, rows), _counts(rows))


def by_customer(model: Model, lists: list[Array], rows: pl.DataFrame) -> dict[str, Array]:
    """NDCG, recall and hit at 10 per customer; `novel_` ones are NaN for who bought nothing for the first time.

    Those are of requests without repeats: products that a customer had bought before are left out of the list and of
    the truth.
    """
    found, counts = _found(lists, rows), _counts(rows)
    new = _bought_first(rows)
    first = new["bought"].list.len().to_numpy() > 0
    novel_rows = new.filter(first)
    novel = _found(ranked(model, novel_rows, include_repeats=0.0), novel_rows), _counts(novel_rows)
    return {
        "ndcg_at_10": ranking.ndcg(found, counts),
        "recall_at_10": ranking.recall(found, counts),
        "hit_rate_at_10": np.asarray(found.any(axis=1), dtype=np.float64),
        "novel_recall_at_10": _among(first, ranking.recall(*novel)),
        "novel_ndcg_at_10": _among(first, ranking.ndcg(*novel)),
    }


def means(columns: dict[str, Array], drawn: Array | None = None) -> Metrics:
    """The mean of each metric over the customers, or over those drawn, that have it; 0 where none has."""
    found = {}
    for name, column in columns.items():
        known = column if drawn is None else column[drawn]
        known = known[~np.isnan(known)]
        found[name] = float(known.mean()) if len(known) else 0.0
    return found


def recall_by_length(model: Model, rows: pl.DataFrame, lengths: list[int]) -> list[float]:
    """Mean recall of lists of each length."""
    found, counts = _found(ranked(model, rows, k=max(lengths)), rows, k=max(lengths)), _counts(rows)
    return [float(ranking.recall(found[:, :length], counts).mean()) for length in lengths]


def _found(lists: list[Array], rows: pl.DataFrame, k: int = K) -> Array:
    return ranking.hits(lists, _entries(rows, "bought"), k=k)


def _counts(rows: pl.DataFrame) -> Array:
    return rows["bought"].list.len().to_numpy()


def _entries(rows: pl.DataFrame, name: str) -> list[Array]:
    return [entry.to_numpy() for entry in rows[name]]


def _among(chosen: Array, values: Array) -> Array:
    column = np.full(len(chosen), np.nan)
    column[chosen] = values
    return column


def _bought_first(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with only what was bought for the first time."""
    import polars as pl

    columns = (_entries(rows, name) for name in ("bought", "history_product_ids", "history_weights"))
    new = [np.setdiff1d(bought, ids[weights > 0]).tolist() for bought, ids, weights in zip(*columns, strict=True)]
    return rows.with_columns(pl.Series("bought", new, dtype=pl.List(pl.Int64)))
