"""Fits the CLV candidate: purchase process, trees of mean and percentiles, blend weights and conformal offsets.

Weights and offsets come from answers to customers that the trees did not see; a customer's rows are left out together.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from training import spend_design, tabular
from training.purchase_fit import fit_process
from training.spend_design import HORIZON_DAYS, Array
from training.spend_model import LEVELS, SpendModel, to_scale
from training.tree_fit import as_trees, boost, enough_customers, raw_scores

FOLDS = 3
PRIOR_PROSPECTS = 100
NOISE = 2.0
"""Standard errors by which the blend must beat the mean on unseen customers; else the mean is answered."""
TREES = {"num_leaves": 8, "min_data_in_leaf": 40, "learning_rate": 0.12}
ROUNDS = 50
"""Five times as many leaves were no better on three earlier windows of Complete Journey, and cost a call 10 us."""


def fit_spend(train: pl.DataFrame, *, names: list[str], label_days: int) -> SpendModel:
    """The model of rows with the named inputs, `customer_id`, `as_of`, `label` and `label_half`.

    `label` is spend per 180 days in a window of `label_days`, `label_half` in the window's first half.
    """
    rows = enough_customers(train)
    inputs, defaults = tabular.to_columns(rows, names), tabular.medians(rows, names)
    values = spend_design.filled(inputs, defaults)
    newest = (rows["as_of"] == rows["as_of"].max()).to_numpy()
    process = fit_process({name: column[newest] for name, column in values.items()})
    matrix, repeated = spend_design.design(values, process), np.column_stack(spend_design.repeated(values))
    label = rows["label"].to_numpy()
    fold = (rows["customer_id"].hash(seed=0) % FOLDS).to_numpy()
    unit = max(float(np.maximum(label, 0.0).mean()), 0.01)
    boosters, unseen = _boosted(matrix, label, fold, unit)
    weights = _weights(HORIZON_DAYS * np.exp(unseen[:, 0]), repeated.sum(axis=1), label, values["tx_count"] > 0)
    scaled = to_scale(label, unit)
    offsets = {
        name: _conformal(scaled - unseen[:, place], level) for place, (name, level) in enumerate(LEVELS.items(), 1)
    }
    width = _interval_width(rows, HORIZON_DAYS * np.exp(unseen[:, 0]), label_days)
    params: dict[str, Any] = {
        **weights,
        "repeat_means": repeated.mean(axis=0).tolist(),
        "process": process,
        "shares": spend_design.shares(inputs),
        "offsets": offsets,
        "interval_width": width,
        "unit": unit,
        "label_days": label_days,
        "rows": rows.height,
    }
    return SpendModel(as_trees(boosters, width=matrix.shape[1]), defaults=defaults, params=params)


def _boosted(matrix: Array, label: Array, fold: Array, unit: float) -> tuple[list[Any], Array]:
    """The boosters of mean and percentiles on all rows, and the scores of such that did not see the row's customer."""
    daily, scaled = np.maximum(label, 0.0) / HORIZON_DAYS, to_scale(label, unit)
    recipes: list[tuple[Array, Mapping[str, Any]]] = [
        (daily, {**TREES, "objective": "poisson", "monotone_constraints": spend_design.RISING}),
        *((scaled, {**TREES, "objective": "quantile", "alpha": level}) for level in LEVELS.values()),
    ]
    unseen = np.empty((len(label), len(recipes)))
    boosters = []
    for place, (target, params) in enumerate(recipes):
        boosters.append(boost(matrix, target, rounds=ROUNDS, params=params))
        for number in np.unique(fold):
            held = fold == number
            seen = ~held if not held.all() else held
            booster = boost(matrix[seen], target[seen], rounds=ROUNDS, params=params)
            unseen[held, place] = raw_scores(booster, matrix[held])
    return boosters, unseen


def _weights(trees: Array, repeated: Array, label: Array, buyer: Array) -> dict[str, float]:
    """Weights of the blend for buyers and for prospects; the mean alone where neither is to be told from noise."""
    mean = float(label.mean())
    bought, prospect = _blend([trees[buyer], repeated[buyer]], label[buyer]), _scale(trees[~buyer], label[~buyer])
    answer = np.where(buyer, bought[0] * trees + bought[1] * repeated, prospect * trees)
    gain = (np.square(mean - label) - np.square(answer - label)) / np.maximum(trees, 0.05 * mean + 1e-9)
    if gain.mean() <= NOISE * gain.std() / np.sqrt(len(gain)):
        return {"tree_weight": 0.0, "repeat_weight": 0.0, "prospect_weight": 0.0, "constant": mean}
    return {
        "tree_weight": float(bought[0]),
        "repeat_weight": float(bought[1]),
        "prospect_weight": prospect,
        "constant": 0.0,
    }


def _scale(trees: Array, label: Array) -> float:
    """What makes the prospects' sum right, near 1 where there are few of them."""
    usual = PRIOR_PROSPECTS * float(trees.mean()) if len(trees) else 0.0
    return (max(float(label.sum()), 0.0) + usual) / (float(trees.sum()) + usual) if usual > 0 else 1.0


def _blend(parts: list[Array], label: Array) -> Array:
    """Weights, not negative, of the least squares of errors in units of the spread that an amount of its size has.

    The variance of spend grows with its mean: unweighted, a few large customers would decide. Scaled to the right sum.
    """
    from scipy.optimize import nnls

    columns = np.column_stack(parts)
    if not len(label) or not columns.any() or label.sum() <= 0:
        return _first(len(parts))
    usual = np.maximum(columns.mean(axis=1), 0.05 * columns.mean())
    spread = 1.0 / np.sqrt(usual)
    weights: Array = nnls(columns * spread[:, None], label * spread)[0]
    total = float((columns @ weights).sum())
    return weights * float(label.sum() / total) if total > 0 else _first(len(parts))


def _first(count: int) -> Array:
    weights = np.zeros(count)
    weights[0] = 1.0
    return weights


def _conformal(residuals: Array, level: float) -> float:
    """The offset below which a share `level` of residuals lies (Romano, Patterson, Candès 2019)."""
    place = min(int(np.ceil(level * (len(residuals) + 1))), len(residuals)) - 1
    return float(np.partition(residuals, place)[place])


def _interval_width(rows: pl.DataFrame, answer: Array, label_days: int) -> float:
    """How wide the interval for 180 days is, of that for the label's days: spend of more days scatters less per day.

    The scatter has a part that lasts and one that falls with the days; half the label's window tells them apart.
    """
    whole, half = (float(np.abs(rows[name].to_numpy() - answer).mean()) ** 2 for name in ("label", "label_half"))
    if label_days >= HORIZON_DAYS or whole <= 0:
        return 1.0
    falling = min(max(half - whole, 0.0), whole)
    return float(np.sqrt(1.0 - falling / whole * (1.0 - label_days / HORIZON_DAYS)))
