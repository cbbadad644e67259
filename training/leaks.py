"""Signs that the future has leaked into the features: one that alone ranks the test as if it knew."""

from dataclasses import replace
from typing import Any

import numpy as np

from training import labelled
from training.classification import auc
from training.regression import rank_correlation
from training.use_case import Dataset, Metrics, Model, UseCase

Array = np.ndarray[Any, Any]
ROWS = 5_000
"""Test rows on which features are shuffled: enough to tell which one matters, and no more work on big data."""
TOO_GOOD = 0.98
"""No real past ranks the future so well: an AUC of .99, a rank correlation of .98."""
ALL_OF_IT = 0.95


def ranking(use_case: UseCase, data: Dataset) -> Metrics:
    """By feature, how well it alone ranks the test rows by their label, in either direction; empty without a label."""
    actual = labelled.label(use_case, data)
    if actual is None:
        return {}
    return {name: _either_way(actual, values) for name, values in labelled.inputs(use_case, data).items()}


def rank_skill(actual: Array, values: Array) -> float:
    """0 for chance and 1 for the label's own order: 2 AUC - 1 of a label of zeros and ones, else Spearman's rho."""
    if np.isin(actual, (0, 1)).all():
        return 2 * auc(actual, values) - 1
    return rank_correlation(actual, values)


def importances(use_case: UseCase, model: Model, data: Dataset) -> Metrics:
    """By feature, what the primary metric loses when the feature's values are shuffled among the test rows.

    Empty where test rows do not carry every feature, and so are no inputs. (Breiman 2001, "Random Forests".)
    """
    generator = np.random.default_rng(0)
    few = data.test
    if few.height > ROWS:
        few = few[np.sort(generator.choice(few.height, ROWS, replace=False))]
    names = [feature.name for feature in use_case.features]
    if not set(names) <= set(few.columns):
        return {}
    metric, sign = use_case.primary_metric, 1 if use_case.higher_is_better else -1
    known = use_case.evaluate(model, replace(data, test=few))[metric] if names else 0.0
    found = {}
    for name in names:
        shuffled = few.with_columns(few[name][generator.permutation(few.height)])
        found[name] = sign * (known - use_case.evaluate(model, replace(data, test=shuffled))[metric])
    return found


def suspicions(*, ranking: Metrics, answers_ranking: float | None, importances: Metrics, gain: float) -> list[str]:
    """Why a model must have seen the future, in words; empty where nothing says so.

    `gain` is what the model's primary metric gains over the simple baseline's.
    """
    told = [
        f"{name} alone ranks the test rows almost perfectly ({skill:.3f} of 1): it must hold the label"
        for name, skill in ranking.items()
        if skill >= TOO_GOOD
    ]
    if not told and answers_ranking is not None and answers_ranking >= TOO_GOOD and importances:
        name, loss = max(importances.items(), key=lambda entry: entry[1])
        carried = f"and {name} carries nearly all of it" if loss >= ALL_OF_IT * gain else f"mostly by {name}"
        told = [f"it ranks the test rows almost perfectly ({answers_ranking:.3f} of 1), {carried}: look for a leak"]
    return told


def _either_way(actual: Array, values: Array) -> float:
    """The skill of a feature by its known values, or with the unknown ones lowest: that it is known may be the leak."""
    unknown = np.isnan(values)
    lowest = np.where(unknown, (np.nanmin(values) if not unknown.all() else 0.0) - 1.0, values)
    skills = [abs(rank_skill(actual, lowest))]
    if (~unknown).sum() >= len(values) // 2 and unknown.any():
        skills.append(abs(rank_skill(actual[~unknown], values[~unknown])))
    return max(skills)
