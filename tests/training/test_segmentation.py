"""Segments: as many as there are, with ids that stay, names and profiles; nothing to tell apart is refused."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from shopsphere.v1 import segmentation_pb2

from training import bootstrap, segment_meaning, tabular
from training.use_case import Dataset
from training.use_cases.segmentation import NAMES, SEGMENTATION

AS_OF = datetime(2024, 1, 1)
GROUPS = [(300.0, 1, 20.0), (60.0, 6, 300.0), (3.0, 40, 4000.0)]
"""Days since the last order, orders and spend of three kinds of customer."""


def customers(*, groups=GROUPS, each=200, seed=0):
    """So many of each kind, a tenth apart from each other; they spend next what they spent."""
    random = np.random.default_rng(seed)
    recency, orders, spend = np.repeat(np.array(groups), each, axis=0).T
    noise = np.exp(random.normal(0, 0.1, (3, len(spend))))
    rows = {"recency_days": recency * noise[0], "tx_count": np.ceil(orders * noise[1]), "monetary": spend * noise[2]}
    others = {"avg_discount": 0.1, "avg_quantity": 1.0, "age": 40.0, "loyalty_level": 0.0}
    return pl.DataFrame({**rows, "label": spend * np.exp(random.normal(0, 0.5, len(spend)))}).with_columns(
        **{name: pl.lit(value) for name, value in others.items()}, as_of=pl.lit(AS_OF)
    )


def dataset(**options):
    """Trained and tested on two draws of the same kinds of customer."""
    known = customers(**options)
    return Dataset(
        train=known.drop("label"),
        test=customers(**options, seed=1),
        labels_end=AS_OF,
        as_of=AS_OF,
        data_versions={},
        extra={"known": known, "known_days": 30, "next_days": 180},
    )


@pytest.fixture(scope="module")
def three():
    """Three kinds of customer, and the model of them."""
    data = dataset()
    return data, SEGMENTATION.fit(data)


def verdict(model, data):
    """What the gate says of a model beside the rule."""
    rule = SEGMENTATION.fit_baseline(data)
    metrics = SEGMENTATION.evaluate(model, data) | bootstrap.summary(SEGMENTATION.gains(model, rule, data))
    return SEGMENTATION.gate(metrics, SEGMENTATION.evaluate(rule, data))


def test_as_many_segments_as_kinds_of_customer(three):
    """In the order of their spend, stable, and passed by the gate against the rule."""
    data, model = three
    assert (model.params["segments"], model.params["bootstrap_ari"]) == (3, 1.0)
    assert model.params["names"] == ["Low spend, lapsing", "Medium spend, recent", "High spend, recent"]
    ids = model.predict(tabular.to_columns(data.test, NAMES), {})["cluster_id"]
    assert ids.tolist() == np.repeat([0, 1, 2], 200).tolist()
    assert verdict(model, data).promote


def test_a_profile_says_who_they_are(three):
    """Share, medians and next spend, as the customers were made."""
    profile = three[1].params["profiles"][2]
    assert (profile["cluster_id"], profile["share"], profile["next_days"]) == (2, pytest.approx(1 / 3), 30)
    for name, value in zip(("recency_days", "tx_count", "monetary"), GROUPS[2], strict=True):
        assert profile[name] == pytest.approx(value, rel=0.05)
    assert profile["next_spend"] == pytest.approx(4000 * np.exp(0.125), rel=0.15)


def test_ids_keep_their_meaning_over_retrainings(three):
    """Wherever the new centres came out in order, they take the ids of the champion's nearest ones."""
    data, model = three
    turned = model.replaced(
        params={"profiles": [{**profile, "cluster_id": 9} for profile in model.params["profiles"]]},
        arrays={"ids": np.array([2, 0, 5])},
    )
    again = SEGMENTATION.continued(model, turned, data)
    assert again.numbers == [2, 0, 5]
    assert again.params["migration_rate"] == 0.0
    assert [profile["cluster_id"] for profile in again.params["profiles"]] == [2, 0, 5]
    assert SEGMENTATION.evaluate(again, data)["migration_rate"] == 0.0
    name = again.predict(tabular.to_columns(data.test[-1:], NAMES), {})["segment_name"][0]
    assert name == "High spend, recent"


def test_a_new_segment_takes_an_id_that_was_never_used(three):
    """And the customers who moved there are counted."""
    old, champion = three
    data = dataset(groups=[*GROUPS, (500.0, 30, 2000.0)])
    model = SEGMENTATION.continued(SEGMENTATION.fit(data), champion, data)
    assert sorted(model.numbers) == [0, 1, 2, 3]
    kept = model.predict(tabular.to_columns(old.test, NAMES), {})["cluster_id"]
    assert kept.tolist() == np.repeat([0, 1, 2], 200).tolist()
    assert model.params["migration_rate"] == pytest.approx(0.25)


def test_the_rule_before_it_has_no_ids_to_keep(three):
    """Beside the simple baseline a model stays as it is."""
    data, model = three
    assert SEGMENTATION.continued(model, SEGMENTATION.fit_baseline(data), data) is model


def test_who_never_bought_is_no_segments_customer(three):
    """Both kinds of model say so, and no distance is given."""
    data, model = three
    prospect = {name: np.array([0.0 if name in ("tx_count", "monetary") else np.nan]) for name in NAMES}
    for one in (model, SEGMENTATION.fit_baseline(data)):
        answer = one.predict(prospect, {})
        assert (answer["cluster_id"][0], answer["segment_name"][0]) == (-1, "No purchase yet")
        assert SEGMENTATION.explain(one, prospect, {}) == {"distances": []}


def test_an_explanation_has_all_distances_and_the_profile(three):
    """Nearest first; exactly what the assignment rests on."""
    data, model = three
    found = SEGMENTATION.explain(model, tabular.to_columns(data.test[:1], NAMES), {})
    distances = [entry["distance"] for entry in found["distances"]]
    assert [entry["cluster_id"] for entry in found["distances"]] == [0, 1, 2]
    assert distances == sorted(distances)
    assert segmentation_pb2.SegmentProfile(**found["profile"]).monetary == pytest.approx(20, rel=0.05)


def test_customers_who_are_all_alike_are_one_segment(three):
    """Nothing to learn: the gate says what is wrong in plain words."""
    data, _ = three

    def alike(frame):
        return frame.with_columns(pl.col(name).cast(pl.Float64).median() for name in NAMES)

    extra = {**data.extra, "known": alike(data.extra["known"])}
    model = SEGMENTATION.fit(replace(data, train=alike(data.train), extra=extra))
    assert model.params["segments"] == 1
    decision = verdict(model, data)
    assert not decision.promote
    assert "not stable" in decision.reasons[0]


def test_segments_that_tell_nothing_of_next_spend_are_refused(three):
    """However far apart they are."""
    data, model = three
    blind = replace(data, test=data.test.with_columns(pl.col("label").shuffle(seed=0)))
    decision = verdict(model, blind)
    assert not decision.promote
    assert "makes no difference" in decision.reasons[0]


def test_one_rich_customer_moves_no_centre():
    """Outliers count as the value where they begin."""
    data = dataset()
    rich = data.train.with_columns(monetary=pl.when(pl.int_range(pl.len()) == 0).then(1e9).otherwise("monetary"))
    ids = SEGMENTATION.fit(replace(data, train=rich)).predict(tabular.to_columns(data.test, NAMES), {})["cluster_id"]
    assert ids.tolist() == np.repeat([0, 1, 2], 200).tolist()


def test_profiles_leave_out_what_nobody_knows(three):
    """A column without a value is absent, not null."""
    data, model = three
    unknown = data.extra["known"].with_columns(avg_discount=pl.lit(None, dtype=pl.Float64))
    profiles = segment_meaning.described(model, unknown, days=30).params["profiles"]
    assert all("avg_discount" not in profile for profile in profiles)
