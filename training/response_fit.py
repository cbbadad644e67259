"""Fits the propensity candidate: logistic regression on logarithms, boosted trees, and their share of the log-odds.

The share makes answers to customers that neither part saw most likely: with few responses the trees get little of it.
"""

from typing import Any

import numpy as np
import polars as pl

from training import tabular
from training.logistic import fit_line, log_odds
from training.response_model import Array, ResponseModel, blend, design
from training.tree_fit import as_trees, boost, enough_customers, raw_scores

FOLDS = 4
TREES = {
    "objective": "binary",
    "num_leaves": 7,
    "min_data_in_leaf": 40,
    "learning_rate": 0.05,
    "feature_fraction": 0.5,
    "lambda_l2": 5.0,
}
ROUNDS = 80
SHARES = np.linspace(0.0, 0.5, 11)
"""Of the trees, half at most: they bear a new campaign worse than unseen customers show."""
NOISE = 1.5
"""Standard errors by which the likelihood must beat the base rate's on unseen customers; else that is answered."""
RARE = 0.02
"""An input is known, or unknown, by exception where less than this share of the rows says so."""


def fit_response(train: pl.DataFrame, *, names: list[str]) -> ResponseModel:
    """The model of exposures with the named inputs, `campaign_id`, `customer_id` and `label`."""
    rows = enough_customers(train)
    inputs, defaults = tabular.to_columns(rows, names), tabular.medians(rows, names)
    maybe_unknown = [name for name in names if RARE < float(np.isnan(inputs[name]).mean()) < 1 - RARE]
    matrix, label = design(inputs, defaults, maybe_unknown), rows["label"].to_numpy()
    line, share = fit_line(matrix, label), _share(matrix, label, rows["customer_id"])
    if share is None:
        line, share = _base_rate(line, label), 0.0
    trees = as_trees([boost(matrix, label, rounds=ROUNDS, params=TREES)], width=matrix.shape[1])
    params: dict[str, Any] = {"tree_share": share, "maybe_unknown": maybe_unknown, "rows": rows.height}
    return ResponseModel(trees, line, defaults=defaults, params=params)


def _share(matrix: Array, label: Array, customers: pl.Series) -> float | None:
    """The trees' share of the log-odds; None where nothing is better than the base rate, or can be tried."""
    number = (customers.hash(seed=0) % FOLDS).to_numpy()
    folds = [number == fold for fold in range(FOLDS)]
    if not all(fold.any() and 0 < label[~fold].sum() < (~fold).sum() for fold in folds):
        return None
    unseen = [_unseen(matrix, label, fold) for fold in folds]
    line, trees, actual = (np.concatenate(part) for part in zip(*unseen, strict=True))
    best = min(SHARES, key=lambda share: float(_losses(actual, blend(line, trees, share)).mean()))
    gain = _losses(actual, np.full(len(actual), _log_odds(actual))) - _losses(actual, blend(line, trees, best))
    return float(best) if gain.mean() > NOISE * gain.std() / np.sqrt(len(gain)) else None


def _base_rate(line: dict[str, Array], label: Array) -> dict[str, Array]:
    """The line that is level."""
    return {**line, "weights": np.zeros_like(line["weights"]), "intercept": np.array([_log_odds(label)])}


def _log_odds(label: Array) -> float:
    rate = float(np.clip(label.mean(), 1e-9, 1 - 1e-9))
    return float(np.log(rate / (1 - rate)))


def _unseen(matrix: Array, label: Array, fold: Array) -> tuple[Array, Array, Array]:
    """Line and trees fitted on the others answer the fold; and its labels."""
    line = fit_line(matrix[~fold], label[~fold])
    trees = boost(matrix[~fold], label[~fold], rounds=ROUNDS, params=TREES)
    return log_odds(line, matrix[fold]), raw_scores(trees, matrix[fold]), label[fold]


def _losses(label: Array, odds: Array) -> Array:
    """The negative log-likelihood of each row's log-odds."""
    return np.logaddexp(0.0, np.where(label > 0, -odds, odds))
