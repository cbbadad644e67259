"""Metrics of probabilities, checked by hand and against scikit-learn, and the line that gives some."""

import numpy as np
import pytest
from hypothesis import given, strategies
from sklearn.metrics import average_precision_score, roc_auc_score

from training import classification, logistic


@given(strategies.lists(strategies.tuples(strategies.booleans(), strategies.integers(0, 5)), min_size=2, max_size=30))
def test_auc_is_scikit_learns(pairs):
    """Ties included; one kind only is chance."""
    actual = np.array([float(one) for one, _ in pairs])
    predicted = np.array([score / 5 for _, score in pairs])
    expected = roc_auc_score(actual, predicted) if 0 < actual.sum() < len(actual) else 0.5
    assert classification.auc(actual, predicted) == pytest.approx(expected)


def test_average_precision_is_scikit_learns():
    """Without ties."""
    random = np.random.default_rng(0)
    actual, predicted = (random.random(50) < 0.3).astype(float), random.random(50)
    expected = average_precision_score(actual, predicted)
    assert classification.metrics(actual, predicted)["average_precision"] == pytest.approx(expected)


def test_a_line_ignores_what_never_varies():
    """A column that is always the same gets no weight, and the log-odds rank by what does vary."""
    random = np.random.default_rng(0)
    amount = random.exponential(5, 200)
    matrix = np.column_stack([amount, np.ones(200)])
    label = (random.random(200) < 1 / (1 + np.exp(2 - amount / 3))).astype(float)
    line = logistic.fit_line(matrix, label)

    assert line["weights"][1] == pytest.approx(0, abs=1e-9)
    assert (np.diff(logistic.log_odds(line, matrix)[np.argsort(amount)]) >= 0).all()


def test_calibration_error_is_the_distance_by_tenths():
    """Half too much in every tenth is half too much in all; shares that only the sum gets right do not hide."""
    actual, predicted = np.tile([0.0, 1.0], 50), np.full(100, 0.75)
    expected = 0.25

    assert classification.metrics(actual, predicted)["calibration_error"] == pytest.approx(expected)
    turned = classification.metrics(np.repeat([1.0, 0.0], 50), np.repeat([0.25, 0.75], 50))
    assert (turned["calibration"], turned["calibration_error"]) == (1.0, pytest.approx(0.75))
