"""Metrics of predicted amounts, on rows whose right answer is known."""

import numpy as np

from training import regression

ACTUAL = np.array([0.0, 1.0, 2.0, 3.0, 10.0])


def test_a_perfect_prediction_has_perfect_metrics():
    """No error, full rank agreement, calibrated."""
    expected = {"mae": 0, "rmse": 0, "r2": 1, "gini": 1, "spearman": 1, "calibration": 1, "decile_error": 0}

    assert expected == {name: round(value, 9) for name, value in regression.metrics(ACTUAL, ACTUAL).items()}


def test_a_constant_ranks_nothing():
    """Ties share their rank, so the mean for everybody scores 0 in order and in r2."""
    metrics = regression.metrics(ACTUAL, np.full(5, ACTUAL.mean()))

    assert tuple(round(metrics[name], 9) for name in ("gini", "spearman", "r2")) == (0, 0, 0)


def test_the_reverse_order_scores_minus_one():
    """Gini and rank correlation have a sign."""
    metrics = regression.metrics(ACTUAL, -ACTUAL)

    assert tuple(round(metrics[name], 9) for name in ("gini", "spearman")) == (-1, -1)


def test_fewer_rows_than_deciles_still_make_a_figure():
    """Empty deciles are shown as 0."""
    figure = regression.decile_figure(ACTUAL, ACTUAL, title="five rows")

    assert figure.axes[0].get_title() == "five rows"


def test_an_interval_is_judged_by_what_lies_outside():
    """On either side, and by its width over the mean amount."""
    actual, low, high = np.array([0.0, 2.0, 4.0, 10.0]), np.array([0.0, 3.0, 3.0, 3.0]), np.array([1.0, 4.0, 5.0, 5.0])
    expected = {"coverage_80": 0.5, "below_p10": 0.25, "above_p90": 0.25, "interval_width": 1.5 / 4.0}

    assert expected == regression.interval_metrics(actual, low, high)
