"""The model card says what a reader must know before they use a version, and what was measured on which rows."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from training import code_version
from training.evidence import Window
from training.examine import examine
from training.gain_curve import gain_curve
from training.model_card import model_card
from training.registry import DESCRIPTION_CHARACTERS, _shortened
from training.slices import slices
from training.use_cases import USE_CASES
from training.use_cases.clv import CLV


@pytest.fixture(scope="module")
def data(bare_shop):
    """CLV's dataset of the shop, where odd customers are of tier 0 and even ones, the rich, of tier 1."""
    data = CLV.dataset(bare_shop)
    return replace(data, test=pl.concat([data.test] * 4).with_columns(loyalty_level=1 - pl.col("customer_id") % 2))


@pytest.fixture(scope="module")
def baseline(data):
    """The average customer."""
    return CLV.fit_baseline(data)


@pytest.fixture(scope="module")
def evidence(data, baseline, bare_shop):
    """What is found out about the simple baseline, taken as a candidate."""
    return examine(CLV, baseline, baseline, data, lake=bare_shop, windows=0)


def card(data, model, evidence, **changed):
    """The card of a model."""
    options = {"code": code_version.tags(), "refit_of": None} | changed
    return model_card(CLV, model, data, evidence, **options)


def test_a_card_names_data_metrics_baselines_and_limits(data, baseline, evidence):
    """Each section that the evidence has something for is there."""
    text = card(data, baseline, evidence)

    for said in (
        "# Customer lifetime value, 180 days",
        "gold.customer_features version 0",
        "| metric | model | simple baseline |",
        "last 180 days repeated",
        "90 % interval 0 to 0 (paired bootstrap)",
        "## Not for",
        "| 2023-09-03 | 240 |",
        "| tenth of the answers | predicted, mean | actual, mean |",
        "| loyalty_level 1 | 120 |",
    ):
        assert said in text
    assert "## What it rests on" not in text  # an average rests on nothing


def test_a_card_of_a_refit_says_whose_figures_it_shows(data, baseline, evidence):
    """They were measured on the fit before the test window."""
    assert "The recipe of version 7, fitted again on all elapsed labels" in card(data, baseline, evidence, refit_of=7)


def test_a_description_has_whole_sections(data, baseline, evidence):
    """MLflow has room for 5,000 characters."""
    long = replace(evidence, windows=[Window(window=0, as_of="2024", rows=1, model=1.0, baseline=2.0)] * 200)
    text = _shortened(card(data, baseline, long))

    assert len(text) <= DESCRIPTION_CHARACTERS
    assert text.endswith("\nMore in card.md of the run.\n")
    assert "## Backtest" not in text


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name)
def test_every_use_case_says_what_it_is_not_for(use_case):
    """A card without it misleads."""
    assert use_case.not_for.endswith(".")


def test_slices_are_tiers_tenures_and_countries_with_enough_rows(data, baseline):
    """The average customer is far off for the rich and the poor alike; a slice of all rows is none."""
    found = {part.name: part for part in slices(CLV, baseline, baseline, data)}

    assert set(found) == {"loyalty_level 0", "loyalty_level 1"}
    assert found["loyalty_level 0"].rows == 120
    assert found["loyalty_level 0"].model == pytest.approx(found["loyalty_level 1"].model, rel=0.1)


def test_the_gain_curve_finds_all_that_came_among_the_highest_answers():
    """A perfect order has all of it in the first tenth, the reverse order in the last."""
    actual = np.array([0.0] * 9 + [5.0])

    assert gain_curve(actual, actual)[1].tolist() == [0.0] + [1.0] * 10
    assert gain_curve(actual, -actual)[1].tolist() == [0.0] * 10 + [1.0]
