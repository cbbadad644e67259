"""The gate over all use cases: each reason against a candidate, from evidence that gives it and nothing else."""

import re
from dataclasses import replace

import pytest

from training.evidence import Evidence, Slice, Window
from training.gate import refusals
from training.use_cases.clv import CLV
from training.use_cases.propensity import PROPENSITY


def window(number, model, baseline):
    """A test window of CLV."""
    return Window(window=number, as_of=f"2024-0{9 - number}-01T00:00:00", rows=1000, model=model, baseline=baseline)


GOOD = Evidence(
    metrics={"rmse": 50.0},
    baseline={"rmse": 100.0},
    references={"last_180_days_repeated": {"rmse": 55.0}},
    gain={"gain": 50.0, "gain_low": 40.0, "gain_high": 60.0},
    shuffled={"gain": -1.0, "gain_low": -3.0, "gain_high": 1.0},
    windows=(window(0, 50.0, 100.0), window(1, 60.0, 100.0), window(2, 110.0, 100.0)),
    importances={"spend_90d": 20.0},
    ranking={"spend_90d": 0.6},
    answers_ranking=0.7,
)


def test_good_evidence_gives_no_reason():
    """One lost window of three is no majority, and a feature may rank well."""
    assert refusals(CLV, GOOD) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"gain": {"gain": 2.0, "gain_low": -1.0, "gain_high": 5.0}}, "simple baseline's 100 by more than noise"),
        (
            {"references": {"last_180_days_repeated": {"rmse": 40.0}}},
            "worse than the 40 of a plain rule, last 180 days",
        ),
        ({"windows": (window(0, 50, 100), window(1, 101, 100))}, r"in 1 of 2 test windows \(2024-09-01, 2024-08-01\)"),
        (
            {"shuffled": {"gain": 30.0, "gain_low": 20.0, "gain_high": 40.0}},
            "shuffled labels it still gains 30 in rmse",
        ),
        ({"ranking": {"age": 0.1, "monetary": 0.995}}, "monetary alone ranks the test rows almost perfectly"),
        ({"answers_ranking": 0.99, "importances": {"monetary": 49.0}}, "and monetary carries nearly all of it"),
    ],
)
def test_each_fault_is_a_reason(changed, reason):
    """In plain words, and alone."""
    (told,) = refusals(CLV, replace(GOOD, **changed))

    assert re.search(reason, told)


def test_a_candidate_as_good_as_a_named_baseline_passes():
    """Within 2 % of what the plain rule gains, as the two cannot be told apart without its answers."""
    assert refusals(CLV, replace(GOOD, references={"repeat": {"rmse": 49.5}})) == []


@pytest.mark.parametrize(("promised", "refused"), [(0.10, False), (0.12, False), (0.20, True), (0.05, True)])
def test_a_probability_must_come_true(promised, refused):
    """10 % of the rows responded."""
    evidence = replace(
        GOOD,
        metrics={"auc": 0.8},
        baseline={"auc": 0.5},
        references={},
        windows=(replace(window(0, 0.8, 0.5), rows=5000),),
        deciles=((promised, 0.10), (promised, 0.10)),
    )

    assert [bool(reason.startswith("its probabilities")) for reason in refusals(PROPENSITY, evidence)] == [
        True
    ] * refused


def test_evidence_survives_the_registry():
    """As JSON and back it is the same."""
    evidence = replace(
        GOOD,
        deciles=((1.0, 2.0),),
        slices=(Slice(name="a", rows=1, model=1.0, baseline=2.0),),
        intervals={"a": (0.0, 1.0)},
    )

    assert Evidence.from_json(evidence.to_json()) == evidence
