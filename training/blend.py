"""Chooses a recommender's blend on the 28 days before its training cutoff: a small grid, with and without repeats."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from training import als, ranking
from training.fold_in import FoldIn, confidence
from training.interactions import Past, history_columns
from training.popularity_recommender import best
from training.recommend_request import History

Array = np.ndarray[Any, Any]
REGULARIZATIONS = (5.0, 20.0, 60.0)
REPEATS = (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0)
INTERESTS = (0.0, 0.03, 0.1, 0.3, 1.0)
TRENDS = (0.0, 0.25, 0.5)
ITERATIONS = 4
"""Half of training's: enough to tell blends apart."""
ROWS = 1000
CELLS = 8_000_000
"""At most so many scores are held at once."""
FEW_REPEATS = 0.05
K = 10


@dataclass(frozen=True)
class Weights:
    """What a score is made of beside the factors: trend is an exponent of the lift, the others are factors."""

    trend: float
    repeat: float
    interest: float


class Bench:
    """Customers whose next purchases are known, and how well a blend of their scores finds them."""

    def __init__(self, past: Past, rows: pl.DataFrame) -> None:
        self.catalogue, _, self._lift = als.prepare(past)
        size = len(self.catalogue.product_ids)
        rows = rows.sample(min(ROWS, max(CELLS // max(size, 1), 1), rows.height), seed=0)
        inputs = history_columns(rows)
        self._histories = [History.of(inputs, row) for row in range(rows.height)]
        known = [self.catalogue.positions(history.product_ids) for history in self._histories]
        self._row = np.repeat(np.arange(rows.height), [len(index) for index, _ in known])
        self._column = _joined([index for index, _ in known], np.int64)
        pairs = list(zip(self._histories, known, strict=True))
        self._weights = _joined([history.weights[kept] for history, (_, kept) in pairs], np.float64)
        self._interest = _joined([history.interest[kept] for history, (_, kept) in pairs], np.float64)
        self._bought = [entry.to_numpy() for entry in rows["bought"]]
        self._new = [np.setdiff1d(b, h.bought) for b, h in zip(self._bought, self._histories, strict=True)]
        self.looks = bool((self._interest > 0).any())

    @property
    def repeat_share(self) -> float:
        """The share of what was bought next that the same customer had bought before."""
        return 1.0 - sum(map(len, self._new)) / max(sum(map(len, self._bought)), 1)

    def scores(self, factors: Array, regularization: float) -> Array:
        """The factors' scores alone, rows x products."""
        ends = np.cumsum(np.bincount(self._row, minlength=len(self._histories)))
        parts = zip(np.split(self._column, ends[:-1]), np.split(self._sure(), ends[:-1]), strict=True)
        return FoldIn(factors, regularization=regularization).customers(list(parts)) @ factors.T

    def ndcg(self, scores: Array, weights: Weights, *, new: bool) -> float:
        """NDCG@10 of a blend; with `new`, of what was not bought before, for customers who bought such a thing."""
        blended = scores * self._lift ** np.float32(weights.trend)
        blended[self._row, self._column] += weights.repeat * self._weights + weights.interest * self._interest
        truth = self._new if new else self._bought
        if new:
            bought = self._weights > 0
            blended[self._row[bought], self._column[bought]] = -np.inf
        rows = np.flatnonzero([len(wanted) > 0 for wanted in truth])
        if not len(rows):
            return 0.0
        ranked = list(self.catalogue.product_ids[best(blended[rows], K)])
        wanted = [truth[row] for row in rows]
        return float(ranking.ndcg(ranking.hits(ranked, wanted), np.array([len(entry) for entry in wanted])).mean())

    def _sure(self) -> Array:
        return confidence(self._weights, self._interest)


def choose(past: Past, rows: pl.DataFrame) -> dict[str, Any]:
    """The params of the blend with the best NDCG@10 on `rows`, whose purchases came after `past`.

    First what finds new products: regularization, trend and interest; then with repeats, one after the other, on the
    same factors.
    `include_repeats`, the default of a request, is false where hardly anything is bought twice.
    """
    bench = Bench(past, rows)
    interests = INTERESTS if bench.looks else (0.0,)
    options = [Weights(trend, 0.0, interest) for trend, interest in product(TRENDS, interests)]
    found = []
    for regularization in REGULARIZATIONS:
        factors = als.item_factors(
            past.interactions, bench.catalogue.product_ids, regularization=regularization, iterations=ITERATIONS
        )
        scores = bench.scores(factors, regularization)
        new, reached = _best(bench, scores, options, new=True)
        found.append((reached, regularization, new, scores))
    reached_new, regularization, new, scores = max(found, key=lambda entry: entry[0])
    every, reached = _best(bench, scores, [replace(new, repeat=value) for value in REPEATS], new=False)
    every, reached = _best(bench, scores, [replace(every, trend=value) for value in TRENDS], new=False)
    every, reached = _best(bench, scores, [replace(every, interest=value) for value in interests], new=False)
    return {
        **params(every, new, regularization=regularization),
        "include_repeats": bench.repeat_share >= FEW_REPEATS,
        "tuning_ndcg_at_10": round(reached, 5),
        "tuning_novel_ndcg_at_10": round(reached_new, 5),
    }


def params(every: Weights, new: Weights, *, regularization: float) -> dict[str, Any]:
    """A blend as the model's params."""
    return {
        "regularization": regularization,
        "repeat": every.repeat,
        "interest": every.interest,
        "trend": every.trend,
        "new_interest": new.interest,
        "new_trend": new.trend,
    }


def untuned(past: Past) -> Mapping[str, Any]:
    """The blend where there is no earlier window: purchases count where anything is bought twice."""
    again = past.interactions.select((pl.col("purchase_count") > 1).any()).item()
    plain = Weights(0.0, 1.0 if again else 0.0, 0.0)
    return {**params(plain, plain, regularization=20.0), "include_repeats": bool(again)}


def _best(bench: Bench, scores: Array, options: Iterable[Weights], *, new: bool) -> tuple[Weights, float]:
    reached = {weights: bench.ndcg(scores, weights, new=new) for weights in options}
    weights = max(reached, key=lambda entry: reached[entry])
    return weights, reached[weights]


def _joined(parts: list[Array], dtype: Any) -> Array:
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)
