"""A challenger in the shadow answers what it would if it were asked: the log says what the champion was asked with."""

import json

import numpy as np
import orjson
import pytest

from grpc_server import shadow as shadows
from grpc_server.call import Call
from grpc_server.counters import Counters
from grpc_server.metric_families import APART, SCORED, SKIPPED
from grpc_server.recommend_options import RecommendOptions
from grpc_server.shadow import Shadow
from training.disagreement import disagreement
from training.use_cases import get

CALLS = [
    Call(use_case="clv", entity_ids=["1"]),
    Call(use_case="clv", entity_ids=["1"], overrides={"monetary": np.array([5.0])}),
    Call(use_case="clv", entity_ids=["2", "404", "1"], overrides={"monetary": np.array([3.0, 4.0, np.nan])}),
    Call(use_case="propensity", entity_ids=["1"]),
    Call(use_case="propensity", entity_ids=["1", "2"], campaign_ids=["9", "9"]),
    Call(use_case="recommender", entity_ids=["1"]),
    Call(use_case="recommender", entity_ids=["1", "7"], k=[2, None]),
    Call(
        use_case="recommender",
        entity_ids=["1", "7", "2"],
        recommend=[
            RecommendOptions(include_repeats=False, categories=("Sports",)),
            RecommendOptions(recent_product_ids=("5",), exclude_product_ids=("8",)),
            RecommendOptions(),
        ],
    ),
    Call(use_case="pricing", entity_ids=["5"], min_price=np.array([9.5])),
    Call(use_case="pricing", entity_ids=["5", "5"], unit_cost=np.array([12.0, np.nan])),
]


class OwnDefault:
    """Answers the monetary input, 9 where the lake has none."""

    def predict(self, inputs, options):
        """As it says."""
        return {"clv_180d": np.where(np.isnan(inputs["monetary"]), 9.0, inputs["monetary"])}


class Failing:
    """Cannot answer."""

    def predict(self, inputs, options):
        """Raise."""
        raise RuntimeError


@pytest.fixture
def answered(core, tmp_path):
    """Answers calls, and gives their records as the follower reads them."""

    def answer(*calls):
        for call in calls:
            core[0].predict(call)
        lines = [line for path in sorted(tmp_path.glob("spool/*/*")) for line in path.read_bytes().splitlines()]
        return [orjson.loads(line) for line in lines if line.startswith(b"{")]

    return answer


@pytest.fixture
def shadow(state, tmp_path):
    """Puts a model into the shadow of a use case's champion, as version 7."""

    def begin(use_case, model):
        entry = {"version": 7, "percent": 0, "folder": "", "tags": {}}
        features = {table: table for table in state.features}
        (tmp_path / "current.json").write_text(json.dumps({"challengers": {use_case: entry}, "features": features}))
        found = Shadow(tmp_path, Counters())
        found._models[use_case, 7] = model
        return found

    return begin


def counted(shadow):
    """Answers scored, answers left out, and the disagreement."""
    found = {name: value for (name, *_), value in shadow._counters.read().items()}
    return tuple(found.get(family.name) for family in (SCORED, SKIPPED, APART))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.use_case} {len(call.entity_ids)}")
def test_a_challenger_is_asked_what_the_champion_was_asked(answered, shadow, state, call):
    """The same model in both places gives the same answers: lake, request, options, histories and all."""
    (before,) = answered(call)
    found = shadow(call.use_case, state.models[call.use_case].model)
    (after,) = found.scored([before])
    assert after["columns"]["challenger_version"] == [7] * len(before["ids"])
    for name in get(call.use_case).outputs:
        if name in before["columns"]:
            assert orjson.loads(orjson.dumps(after["columns"][f"challenger_{name}"])) == before["columns"][name]
    assert counted(found) == (len(before["ids"]), 0, 0.0)


def test_a_challenger_has_training_defaults_of_its_own(answered, shadow):
    """What the lake does not know is unknown to it too, and not what the champion put there."""
    (record,) = shadow("clv", OwnDefault()).scored(answered(Call(use_case="clv", entity_ids=["1", "2"])))
    assert record["columns"]["clv_180d"] == [1.0, 7.0]
    assert record["columns"]["challenger_clv_180d"] == [1.0, 9.0]


def test_many_records_are_scored_at_once(answered, shadow, monkeypatch):
    """Each gets its own answers back, other use cases none."""
    monkeypatch.setattr(shadows, "ROWS", 2)
    records = answered(*CALLS)
    scored = shadow("clv", OwnDefault()).scored(records)
    assert [one["columns"].get("challenger_clv_180d") for one in scored[:4]] == [[1.0], [5.0], [3.0, 1.0], None]
    assert all("challenger_version" not in one["columns"] for one in scored[3:])


def test_what_comes_too_late_from_other_rows_or_from_itself_is_left_out(answered, shadow):
    """And counted; the record is as it was."""
    (record,) = answered(Call(use_case="clv", entity_ids=["1"]))
    found = shadow("clv", OwnDefault())
    old = {**record, "predicted_at": "2020-01-01T00:00:00"}
    replayed = {**record, "as_of": "2023-01-01T00:00:00"}
    canaried = {**record, "alias": "challenger"}
    same = {**record, "model_version": 7}
    assert found.scored([old, replayed, canaried, same]) == [old, replayed, canaried, same]
    assert counted(found) == (0, 3, None)


def test_a_challenger_that_fails_holds_up_no_record(answered, shadow):
    """The champion's answers are committed without."""
    records = answered(Call(use_case="clv", entity_ids=["1"]))
    found = shadow("clv", Failing())
    assert found.scored(records) == records
    assert counted(found) == (0, 1, None)


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (2.0, 2.0, 0.0),
        (1.0, 4.0, 0.75),
        (0.0, 0.0, 0.0),
        (3, 3, 0.0),
        (3, 4, 1.0),
        ("a", "b", 1.0),
        (None, 1.0, 1.0),
        ([1, 2, 3, 4], [4, 3, 9, 8], 0.5),
        ([1, 2], [], 1.0),
        ([], [], 0.0),
    ],
)
def test_answers_are_apart_by_their_kind(one, other, apart):
    """Numbers by their size, lists by what they share, anything else or nothing."""
    assert disagreement([one], [other]) == [apart]
