"""Metrics of probabilities, checked by hand and against scikit-learn; and the logistic model's artifact."""

import numpy as np
import pytest
from hypothesis import given, strategies
from sklearn.metrics import average_precision_score, roc_auc_score

from training import artifact, classification
from training.logistic import LogisticModel, fit_logistic


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


def test_a_logistic_model_survives_its_artifact(tmp_path):
    """The same probabilities; unknown inputs take the training default."""
    random = np.random.default_rng(0)
    inputs = {"a": random.exponential(5, 200), "b": random.normal(size=200), "constant": np.ones(200)}
    label = (random.random(200) < 1 / (1 + np.exp(2 - inputs["a"] / 3))).astype(float)
    defaults = {"a": 3.0, "b": 0.0, "constant": 1.0}
    model = fit_logistic("propensity", output="prob_response", inputs=inputs, label=label, defaults=defaults)
    model.save(tmp_path / "model")
    again = LogisticModel.load(artifact.read(tmp_path / "model"))
    answers = model.predict(inputs, {})["prob_response"]
    assert np.array_equal(again.predict(inputs, {})["prob_response"], answers)
    assert ((answers > 0) & (answers < 1)).all()
    assert classification.auc(label, answers) > 0.6
    unknown = model.predict({"a": np.array([np.nan])}, {})["prob_response"]
    assert unknown == model.predict({name: np.array([value]) for name, value in defaults.items()}, {})["prob_response"]
