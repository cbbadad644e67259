"""The CLV use case: its cutoffs and labels, what its model learns, and in which direction its answers move."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from training import bootstrap, spend_design
from training.spend_fit import fit_spend
from training.use_cases.clv import CLV, NAMES, NotEnoughHistoryError

CLOCK = datetime(2024, 3, 1)


@pytest.fixture
def data(shop_lake):
    """The shop's CLV dataset."""
    return CLV.dataset(shop_lake)


@pytest.fixture
def model(data):
    """The candidate."""
    return CLV.fit(data)


def test_training_labels_end_before_the_test_cutoff(data):
    """The test cutoff is the newest with 180 elapsed days; the gap to it is the label's length."""
    assert CLOCK - timedelta(days=180) == data.as_of
    assert data.labels_end <= data.as_of
    assert {data.as_of} == set(data.test["as_of"])
    assert data.train["as_of"].max() + timedelta(days=data.extra["label_days"]) == data.labels_end


def test_a_refit_uses_every_elapsed_label(shop_lake):
    """There are no test rows then, and labels reach to the data's clock."""
    refit = CLV.dataset(shop_lake, refit=True)

    assert (refit.test.height, refit.extra["label_days"], refit.labels_end) == (0, 180, CLOCK)


def test_the_label_is_the_net_spend_of_the_window(shop_lake):
    """A refund in the window subtracts; sales before the cutoff and after the window do not count."""
    cutoff = CLOCK - timedelta(days=180)
    sales = shop_lake.scan("silver.transactions").collect().filter(pl.col("customer_id") != 2)
    days = [-1, 0, 10, 179]
    added = pl.DataFrame(
        {
            "customer_id": [2] * 4,
            "timestamp": [cutoff + timedelta(days=day) for day in days],
            "gross_revenue": pl.Series([100, 10, -3, 20]).cast(pl.Decimal(18, 2)),
        }
    )
    shop_lake.overwrite("silver.transactions", pl.concat([sales, added]))

    test = CLV.dataset(shop_lake).test

    assert test.filter(pl.col("customer_id") == 2)["label"].to_list() == [27.0]


def test_too_short_a_history_says_so(shop_lake):
    """With the last 100 days only there is nothing to test on."""
    recent = pl.col("timestamp") >= CLOCK - timedelta(days=100)
    shop_lake.overwrite("silver.transactions", shop_lake.scan("silver.transactions").filter(recent).collect())
    features = shop_lake.scan("gold.customer_features").filter(pl.col("as_of") >= CLOCK - timedelta(days=100))
    shop_lake.overwrite("gold.customer_features", features.collect())

    with pytest.raises(NotEnoughHistoryError, match="180 days"):
        CLV.dataset(shop_lake)


def test_the_model_tells_big_spenders_from_small_ones(model, data):
    """Customers who spend ten times as much are all ranked above the others, near the amounts they spend."""
    answers = CLV.evaluate(model, data)

    assert answers["rmse"] < CLV.evaluate(CLV.fit_baseline(data), data)["rmse"] / 2
    assert 0.9 < answers["calibration"] < 1.1
    assert answers["gini"] > 0.9


def test_more_monetary_never_lowers_clv(model, data):
    """For customers of the lake and for one it does not know, whom it raises, over eight orders of magnitude."""
    known = dict(CLV.example(data)[0])
    unknown = {feature.name: np.full(5, np.nan) for feature in CLV.features} | {"tx_count": np.full(5, 3.0)}
    for row in (known, unknown):
        steps = np.geomspace(0.01, 1e6, 50)
        answers = [model.predict(row | {"monetary": np.full(5, step)}, {})["clv_180d"] for step in steps]
        assert (np.diff(answers, axis=0) >= 0).all()
    assert (answers[-1] > answers[0]).all()


@pytest.mark.parametrize("amount", [-1e6, 0.0])
def test_clv_is_never_negative(model, amount):
    """Not even for a customer who returned more than was bought."""
    row = dict.fromkeys(NAMES, np.array([amount]))

    assert model.predict(row, {})["clv_180d"][0] >= 0


def test_recent_spend_that_is_not_given_follows_monetary():
    """An override of monetary reaches the inputs that are derived from it, if those are unknown and can be recent."""
    inputs = {
        "monetary": np.array([200.0, 200.0, 200.0]),
        "spend_30d": np.array([np.nan, 1.0, np.nan]),
        "recency_days": np.array([np.nan, 50.0, 50.0]),
    }

    assert spend_design.complete(inputs, {"spend_30d": 0.25})["spend_30d"].tolist() == [50.0, 1.0, 0.0]


def test_the_gate_asks_for_a_gain_above_noise_and_calibration():
    """And for an interval that holds what it says; all reasons are given."""
    champion = {"rmse": 10.0, "calibration": 1.0}

    assert CLV.gate({"rmse": 8.0, "calibration": 1.0, "gain_low": 0.5}, champion).promote
    refused = CLV.gate({"rmse": 9.9, "calibration": 2.0, "gain_low": -0.1, "coverage_80": 0.5}, champion)
    assert (refused.promote, len(refused.reasons)) == (False, 3)


@pytest.mark.parametrize("amount", [0.0, 100.0])
def test_the_percentiles_are_in_order(model, amount):
    """For any customer, and none is negative."""
    answers = model.predict(dict.fromkeys(NAMES, np.array([amount])), {})
    levels = [answers[name][0] for name in CLV.outputs[1:]]

    assert [0.0, *levels] == sorted([0.0, *levels])


def test_the_interval_holds_as_many_customers_as_it_says(model, data):
    """Four in five of customers who spend about the same every week, or some more; and it is narrow."""
    metrics = CLV.evaluate(model, data)

    assert 0.7 <= metrics["coverage_80"] <= 1.0
    assert metrics["interval_width"] < CLV.evaluate(CLV.fit_baseline(data), data)["interval_width"]


def test_contributions_add_up_to_the_answer(model, data):
    """With the base value, for buyers, for an unknown customer, and where refunds would push the answer below 0."""
    rows = CLV.example(data)[0]
    refunded = dict.fromkeys(NAMES, np.array([10.0])) | {"spend_90d": np.array([-1e6]), "spend_180d": np.array([-1e6])}
    cases = [{name: column[:1] for name, column in rows.items()}, dict.fromkeys(NAMES, np.array([np.nan])), refunded]
    for inputs in cases:
        told = CLV.explain(model, inputs, {})
        total = told["base_value"] + sum(entry["contribution"] for entry in told["contributions"])
        assert total == pytest.approx(model.predict(inputs, {})["clv_180d"][0], rel=1e-5, abs=1e-6)


def test_a_prospect_is_not_taken_for_a_buyer():
    """Who signed up and never bought is expected to spend what such customers spent, whatever buyers do."""
    count = 400
    buys = np.arange(count) % 2 == 0
    random = np.random.default_rng(0)
    train = pl.DataFrame(
        {
            **{name: np.where(buys, 10.0, 0.0) * random.uniform(0.5, 1.5, count) for name in NAMES},
            "customer_id": np.arange(count),
            "as_of": [CLOCK] * count,
            "label": np.where(buys, 500.0, 4.0) * random.uniform(0.5, 1.5, count),
        }
    ).with_columns(label_half="label", signup_days=20.0, recency_days=pl.col("recency_days").replace(0.0, None))
    model = fit_spend(train, names=NAMES, label_days=180)

    prospect = {name: np.array([np.nan if name == "recency_days" else 0.0]) for name in NAMES}
    answer = model.predict(prospect | {"signup_days": np.array([20.0])}, {})
    assert 1 < answer["clv_180d"][0] < 10
    assert answer["clv_180d_p90"][0] < 20


def test_a_model_of_shuffled_labels_is_refused(data):
    """Where nothing is to be learnt, the average customer is answered and stays the champion."""
    noise = CLV.shuffled(data, 0)
    candidate, baseline = CLV.fit(noise), CLV.fit_baseline(noise)
    gain = bootstrap.summary(CLV.gains(candidate, baseline, noise))

    assert sorted(noise.train["label"]) == sorted(data.train["label"])
    assert not CLV.gate(CLV.evaluate(candidate, noise) | gain, CLV.evaluate(baseline, noise)).promote
