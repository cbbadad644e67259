"""Leaks are named: a feature that holds the label, one known only of some, and a test that gives itself away."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from training import labelled, leaks
from training.backtest import backtest
from training.chance import at_chance, shuffled_gain
from training.constant import ConstantModel
from training.examine import gain
from training.use_cases import USE_CASES
from training.use_cases.clv import CLV


@pytest.fixture(scope="module")
def data(bare_shop):
    """CLV's dataset of the shop."""
    return CLV.dataset(bare_shop)


@pytest.fixture(scope="module")
def model(data):
    """CLV's candidate."""
    return CLV.fit(data)


def suspicions(data, model):
    """What is said of a model tested on these rows."""
    return leaks.suspicions(
        ranking=leaks.ranking(CLV, data),
        answers_ranking=leaks.rank_skill(*labelled.outcomes(CLV, model, data)),
        importances=leaks.importances(CLV, model, data),
        gain=gain(CLV, model, CLV.fit_baseline(data), data)["gain"],
    )


def test_an_honest_model_is_not_suspected(data, model):
    """Although past spend predicts nearly all of the next."""
    assert suspicions(data, model) == []


def test_a_feature_that_holds_the_label_is_named(data, model):
    """In whichever direction it ranks."""
    leaking = replace(data, test=data.test.with_columns(age=-pl.col("label")))

    (told,) = suspicions(leaking, model)

    assert told.startswith("age alone ranks the test rows almost perfectly")


def test_a_feature_known_only_of_buyers_is_named(data):
    """That it is null says as much as a value."""
    good = pl.col("label") > pl.col("label").median()
    test = data.test.with_columns(label=good.cast(pl.Float64), age=pl.when(good).then(30.0))

    assert leaks.ranking(CLV, replace(data, test=test))["age"] == 1.0


def test_what_a_model_rests_on_is_what_hurts_when_shuffled(data, model):
    """Past spend; never an input without a value."""
    found = leaks.importances(CLV, model, data)

    assert max(found, key=found.__getitem__).startswith("spend_")
    assert found["age"] == 0.0


def test_rows_that_are_no_inputs_have_no_importances(data, model):
    """A column that only shares a feature's name, as units of a week do, is not shuffled."""
    few = replace(data, test=data.test.select("label", "monetary"))

    assert leaks.importances(CLV, model, few) == {}


def test_shuffled_labels_are_at_chance(data, model):
    """Whoever learns from nothing knows nothing."""
    baseline = CLV.fit_baseline(data)
    gained = gain(CLV, model, baseline, data)["gain"]

    assert at_chance(shuffled_gain(CLV, baseline, data, gain=gained), gain=gained)


@pytest.mark.parametrize("use_case", [one for one in USE_CASES if one.shuffled], ids=lambda one: one.name)
def test_each_seed_shuffles_anew_and_keeps_the_rows_in_order(tiny_lake, use_case):
    """What is known of a row besides its label, and a panel's order, stay."""
    lake_data = use_case.dataset(tiny_lake)
    one, other = (use_case.shuffled(lake_data, seed).train for seed in (0, 1))
    keys = [name for name in ("customer_id", "as_of", "campaign_id", "week") if name in one.columns]

    assert not one.equals(other)
    if use_case.name != "recommender":  # who bought what is drawn there, which makes other rows
        assert one.select(keys).equals(lake_data.train.select(keys))


def test_a_test_that_leaks_is_found_by_shuffled_labels(data):
    """A recipe that has its skill from elsewhere than the labels keeps it."""

    class Oracle(ConstantModel):
        def predict(self, inputs, options):
            return {"clv_180d": np.asarray(inputs["spend_180d"])}

    use_case = replace(CLV, fit=lambda _: Oracle("clv", output="clv_180d", value=0.0, defaults={}))
    baseline = CLV.fit_baseline(data)
    gained = gain(CLV, use_case.fit(data), baseline, data)["gain"]

    assert not at_chance(shuffled_gain(use_case, baseline, data, gain=gained), gain=gained)


def test_the_backtest_goes_back_as_far_as_the_history(bare_shop, data):
    """Each window is tested 30 days earlier, and the reason why it ends is told."""
    windows, end = backtest(CLV, bare_shop, data, windows=9)

    assert [entry.as_of[:10] for entry in windows[:2]] == ["2023-08-04", "2023-07-05"]
    assert 2 <= len(windows) < 9
    assert all(entry.model < entry.baseline for entry in windows)
    assert "ingest a longer history" in end
