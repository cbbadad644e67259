"""A registered version trained again on the data that it pins gives the same answers, or says why it cannot."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from training.agreement import agreement
from training.code_version import differences, tags
from training.columns import object_array
from training.pins import ERASED
from training.registry import Registry
from training.repeat import RepeatError, train_like
from training.train import register
from training.use_cases.clv import CLV


@pytest.fixture
def baseline(shop_lake, settings):
    """The registered simple baseline."""
    data = CLV.dataset(shop_lake)
    model = CLV.fit_baseline(data)
    return register(Registry(settings), CLV, model, data=data, metrics=CLV.evaluate(model, data))


def change(lake):
    """Later data, on which everything would come out otherwise."""
    lake.overwrite("silver.transactions", lake.scan("silver.transactions").filter(pl.col("customer_id") > 9).collect())


def test_a_candidate_is_repeated_to_the_last_bit(shop_lake, settings):
    """On the pinned versions, whatever came to the lake since; registered beside the one that it repeats."""
    data, registry = CLV.dataset(shop_lake), Registry(settings)
    model = CLV.fit(data)
    register(registry, CLV, model, data=data, metrics=CLV.evaluate(model, data))
    change(shop_lake)

    report = train_like(settings, "models:/clv/1")

    assert (report.version, report.like, report.warnings, report.metrics) == (2, 1, (), 0.0)
    assert (report.answers["clv_180d"].same, report.answers["clv_180d"].rows) == (1.0, 65)
    assert registry.version("clv", 2).tags["like"] == "1"
    assert registry.version("clv", 2).tags["data_versions"] == registry.version("clv", 1).tags["data_versions"]


def test_erased_data_is_never_trained_on_again(baseline, settings):
    """Forgetting outranks repeating."""
    Registry(settings).tag("clv", baseline.version, {ERASED: "2024-05-06T07:08:09"})

    with pytest.raises(RepeatError, match=r"version 1 of 'clv' cannot be repeated: data .* was erased on 2024-05-06"):
        train_like(settings, "clv/1")


def test_data_that_is_not_kept_is_named(baseline, settings, shop_lake):
    """The table and its version."""
    change(shop_lake)
    for file in shop_lake.files("silver.transactions", 0):
        Path(shop_lake.uri("silver.transactions"), file.path).unlink()

    with pytest.raises(RepeatError, match=r"version 0 of silver\.transactions is not kept any more"):
        train_like(settings, "clv/1")


@pytest.mark.parametrize("address", ["clv", "clv/newest", "models:/clv@champion"])
def test_an_address_names_a_version(settings, address):
    """Anything else is refused with how to write it."""
    with pytest.raises(RepeatError, match="models:/clv/7 or clv/7"):
        train_like(settings, address)


def test_other_code_is_told():
    """By name, with both versions."""
    then = tags() | {"shopsphere": "0.0.9", "libraries": '{"numpy": "1.0"}'}

    told = differences(then, tags())

    assert told[0].startswith("shopsphere was 0.0.9, is ")
    assert told[1].startswith("numpy was 1.0, is ")
    assert differences(tags(), tags()) == []


@pytest.mark.parametrize(
    ("left", "right", "told"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), "2 answers are the same to the last bit"),
        (np.array([1.0, 2.0]), np.array([1.0, 2.0002]), "2 answers agree to 1.0e-04 of their size"),
        (object_array(["a", "b"]), object_array(["a", "c"]), "50.0% of 2 answers are the same"),
        (object_array([[1, 2], [3]]), object_array([[1, 2], [3]]), "2 answers are the same to the last bit"),
    ],
)
def test_agreement_is_told_in_words(left, right, told):
    """Numbers by how far they are apart at most, everything else by how many are the same."""
    assert str(agreement(left, right)) == told
