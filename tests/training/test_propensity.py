"""The propensity use case: what its model learns, how it explains itself, and what its gate asks for."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from training import response_model
from training.response_fit import fit_response
from training.use_cases.propensity import PROPENSITY, _start, gate

BASE = {"auc": 0.5, "auc_within": 0.5, "log_loss": 0.44, "calibration": 1.0}
GOOD = {"auc": 0.77, "auc_within": 0.8, "log_loss": 0.36, "calibration": 1.1, "gain_low": 0.2}
INPUTS = ["response_rate", "monetary", "age"]


def exposures(count=3000):
    """Who answered before answers again, and who spends little; an age that is unknown means something."""
    random = np.random.default_rng(0)
    rate, monetary = random.uniform(0, 0.5, count), random.lognormal(4, 1, count)
    age = np.where(random.random(count) < 0.5, np.nan, 40.0)
    odds = -3.0 + 6 * rate + np.where(monetary < 100, 1.5, 0.0) + np.isnan(age)
    return pl.DataFrame(
        {
            "customer_id": np.arange(count) % 1000,
            "campaign_id": np.arange(count) % 3,
            "response_rate": rate,
            "monetary": monetary,
            "age": pl.Series(age).fill_nan(None),
            "label": (random.random(count) < response_model.sigmoid(odds)).astype(float),
        }
    )


@pytest.fixture(scope="module")
def model():
    """The candidate of such exposures."""
    return fit_response(exposures(), names=INPUTS)


def answer(model, **row):
    """The chance of one row."""
    inputs = {name: np.array([row.get(name, np.nan)]) for name in INPUTS}
    return model.predict(inputs, {})["prob_response"][0]


def test_it_learns_what_a_line_can_and_what_it_cannot(model):
    """The past rate raises the chance, much spend lowers it at a step, an unknown age raises it."""
    usual = {"response_rate": 0.25, "monetary": 50.0, "age": 40.0}

    chances = [answer(model, **usual | change) for change in ({"monetary": 200.0}, {}, {"response_rate": 0.45})]
    assert chances == sorted(chances)
    assert answer(model, **usual | {"age": np.nan}) > answer(model, **usual)
    assert model.params["tree_share"] > 0


def test_contributions_add_up_to_the_log_odds(model):
    """With the base value, also where inputs are unknown."""
    for row in ({"response_rate": 0.45, "monetary": 20.0, "age": 40.0}, {"monetary": 1e6}, {}):
        inputs = {name: np.array([row.get(name, np.nan)]) for name in INPUTS}
        told = PROPENSITY.explain(model, inputs, {})
        total = told["base_value"] + sum(entry["contribution"] for entry in told["contributions"])
        assert response_model.sigmoid(total) == pytest.approx(answer(model, **row), rel=1e-5)


@pytest.mark.parametrize("responders", ["shuffled", "one", "nobody but one customer"])
def test_where_nothing_is_to_be_learnt_the_base_rate_is_answered(responders):
    """For everybody, whatever they did."""
    rows = exposures()
    label = {
        "shuffled": rows["label"].shuffle(seed=1),
        "one": pl.Series([1.0] + [0.0] * (rows.height - 1)),
        "nobody but one customer": (rows["customer_id"] == 7).cast(pl.Float64),
    }[responders]
    model = fit_response(rows.with_columns(label=label), names=INPUTS)

    answers = [answer(model, monetary=amount, response_rate=rate) for amount in (1.0, 1e4) for rate in (0.0, 0.5)]
    assert answers == pytest.approx([label.mean()] * 4, rel=1e-6)


def test_shuffled_outcomes_are_the_same_ones(tiny_lake):
    """In another order, of the training exposures alone."""
    data = PROPENSITY.dataset(tiny_lake)
    shuffled = PROPENSITY.shuffled(data, 0)

    assert shuffled.train["label"].sum() == data.train["label"].sum()
    assert not shuffled.train["label"].equals(data.train["label"])
    assert shuffled.train.drop("label").equals(data.train.drop("label"))
    assert shuffled.test.equals(data.test)


def test_the_test_begins_as_a_campaign_starts():
    """Of the starts that leave 20 % to 35 % to test on, at the one before which most windows have ended."""
    campaigns = [(0, 15, 40), (10, 38, 30), (20, 60, 10), (40, 70, 10), (50, 80, 10)]  # start, end, exposures
    rows = [(number, start, end) for number, (start, end, size) in enumerate(campaigns) for _ in range(size)]
    known = pl.DataFrame(rows, schema=["campaign_id", "start", "end"], orient="row").select(
        "campaign_id",
        as_of=pl.datetime(2024, 1, 1) + pl.duration(days="start"),
        window_end=pl.datetime(2024, 1, 1) + pl.duration(days="end"),
    )

    assert _start(known) == datetime(2024, 1, 1) + timedelta(days=40)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, "is above"),
        ({"auc_within": 0.5}, "within a campaign"),
        ({"gain_low": -0.01}, "by more than noise"),
        ({"log_loss": 0.5}, "log loss"),
        ({"calibration": 2.5}, "responses in sum"),
    ],
)
def test_the_gate_names_what_is_lacking(change, named):
    """One reason for each fault; promoted without any."""
    decision = gate({**GOOD, **change}, BASE)
    assert decision.promote == (not change)
    assert named in decision.reasons[0]
