"""Trees at run time: the scores and the additive contributions that LightGBM itself gives."""

import numpy as np
import pytest

from training.tree_fit import as_trees, boost, raw_scores
from training.trees import Trees

LEAVES = {"num_leaves": 15, "min_data_in_leaf": 5}


@pytest.fixture(scope="module")
def matrix():
    """Skewed amounts, a flag and a column that never varies."""
    random = np.random.default_rng(0)
    return np.column_stack([random.lognormal(2, 2, (400, 4)), random.integers(0, 2, 400), np.ones(400)])


@pytest.fixture(scope="module")
def boosters(matrix):
    """A mean with a logarithmic link, and a 90th percentile."""
    label = matrix[:, 0] * (1 + matrix[:, 4]) + np.random.default_rng(1).exponential(5, 400)
    objectives = ({"objective": "poisson"}, {"objective": "quantile", "alpha": 0.9})
    return [boost(matrix, label, rounds=30, params={**LEAVES, **objective}) for objective in objectives]


def test_scores_are_lightgbms(matrix, boosters):
    """One call answers for all ensembles, to 32-bit precision, also where an input lies at a threshold."""
    trees = as_trees(boosters, width=6)
    at_thresholds = matrix.copy()
    cuts = boosters[0].trees_to_dataframe().dropna(subset=["threshold"])
    for column, rows in cuts.groupby("split_feature"):
        at_thresholds[: len(rows), int(column.removeprefix("Column_"))] = rows["threshold"][:400]

    for rows in (matrix, at_thresholds.astype(np.float32)):
        expected = np.column_stack([raw_scores(booster, rows) for booster in boosters])
        np.testing.assert_allclose(trees.scores(rows), expected, rtol=1e-5, atol=1e-5)


def test_contributions_are_lightgbms_shap_values(matrix, boosters):
    """They add up to the score, and each equals what LightGBM computes with its own trees."""
    trees = as_trees(boosters, width=6)
    expected = boosters[0].predict(matrix[:20].astype(np.float32), pred_contrib=True)

    for row, shap in zip(matrix[:20], expected, strict=True):
        base, added = trees.contributions(row)
        np.testing.assert_allclose([*added, base], shap, rtol=1e-6, atol=1e-9)
        assert base + added.sum() == pytest.approx(trees.scores(row[None])[0, 0], rel=1e-5)


def test_what_is_saved_gives_the_same(matrix, boosters):
    """The ONNX content and the boxes are all there is."""
    trees = as_trees(boosters, width=6)
    loaded = Trees.load(trees.function.content, trees.arrays())

    assert np.array_equal(loaded.scores(matrix), trees.scores(matrix))
    assert np.array_equal(loaded.contributions(matrix[0])[1], trees.contributions(matrix[0])[1])


def test_trees_that_found_nothing_give_their_mean():
    """A label that never varies makes trees of a single leaf."""
    matrix = np.arange(40.0)[:, None]
    trees = as_trees([boost(matrix, np.ones(40), rounds=3, params={"objective": "regression"})], width=1)

    assert trees.scores(matrix)[:, 0] == pytest.approx(np.ones(40))
    assert trees.contributions(matrix[0]) == (pytest.approx(1.0), pytest.approx(np.zeros(1)))
