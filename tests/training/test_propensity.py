"""The gate of propensity: ranks customers, not campaigns, and by more than noise."""

import pytest

from training.use_cases.propensity import gate

BASE = {"auc": 0.5, "auc_within": 0.5, "log_loss": 0.44}
GOOD = {"auc": 0.77, "auc_within": 0.8, "log_loss": 0.36, "gain_low": 0.2}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, "is above"),
        ({"auc_within": 0.5}, "within a campaign"),
        ({"gain_low": -0.01}, "by more than noise"),
        ({"log_loss": 0.5}, "log loss"),
    ],
)
def test_the_gate_names_what_is_lacking(change, named):
    """One reason for each fault; promoted without any."""
    decision = gate({**GOOD, **change}, BASE)
    assert decision.promote == (not change)
    assert named in decision.reasons[0]
