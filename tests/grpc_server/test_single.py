"""The short way of a usual call gives what the long way gives: answer, trace and log record."""

from dataclasses import replace

import numpy as np
import pytest

from grpc_server.call import Call
from grpc_server.metrics import Metrics
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.single import singles
from grpc_server.spool import read_records
from grpc_server.state import State, StateHolder
from grpc_server.warm_up import unlogged
from training import tabular


class Long:
    """A model that answers arrays alone."""

    def __init__(self, model):
        self.kind, self.params, self.defaults, self.predict = model.kind, model.params, model.defaults, model.predict


class Short(Long):
    """A model that answers one row, too."""

    def predict_one(self, inputs, options):
        """By its arrays."""
        rows = tabular.Rows(np.array([list(inputs.values())]), tuple(inputs))
        found = self.predict(rows, {name: np.array([value]) for name, value in options.items()})
        return {name: column.tolist()[0] for name, column in found.items()}


def core(state, spool):
    """The predictor of a state, and how to read what it has logged."""
    holder = StateHolder()
    log = PredictionLog(spool)
    predictor = Predictor(holder, log, Metrics(holder))
    holder.swap(state)

    def logged():
        log.close()
        records = [record for path in sorted(spool.glob("*/*.jsonl")) for record in read_records(path)]
        return [{**record, "predicted_at": "", "ids": ""} for record in records]

    return predictor, logged


@pytest.fixture
def short(state):
    """The state with models that take the short way, and a precomputed list."""
    own = ("pricing", "recommender")
    wrapped = {name: served.model if name in own else Short(served.model) for name, served in state.models.items()}
    lists = unlogged(state).predict(Call(use_case="recommender", entity_ids=["1"])).outputs
    table = np.empty(1, dtype=[(name, f"S{len(values[0])}") for name, values in lists.items()])
    table[0] = tuple(values[0] for values in lists.values())
    return replace(with_models(state, wrapped), precomputed={("recommender", 3): table})


def with_models(state, models):
    """The state with other models."""
    served = {name: replace(state.models[name], model=model) for name, model in models.items()}
    return State(served, state.features, state.campaigns)


USUAL = {
    "all known": Call(use_case="clv", entity_ids=["1"]),
    "all unknown": Call(use_case="clv", entity_ids=["2"]),
    "the chosen campaign": Call(use_case="propensity", entity_ids=["1"], campaign_ids=[""]),
    "a named campaign": Call(use_case="propensity", entity_ids=["2"], campaign_ids=["9"]),
    "a product": Call(use_case="pricing", entity_ids=["5"]),
    "a list": Call(use_case="recommender", entity_ids=["1"]),
    "a list of two": Call(use_case="recommender", entity_ids=["1"], k=[2]),
}
OTHERS = {
    "a stranger": Call(use_case="clv", entity_ids=["404"]),
    "no id": Call(use_case="clv", entity_ids=["one"]),
    "a campaign of no shop": Call(use_case="propensity", entity_ids=["1"], campaign_ids=["404"]),
    "a longer list": Call(use_case="recommender", entity_ids=["1"], k=[11]),
    "a list of none": Call(use_case="recommender", entity_ids=["1"], k=[0]),
    "no history": Call(use_case="recommender", entity_ids=["2"], k=[1]),
}


@pytest.mark.parametrize("call", USUAL.values(), ids=USUAL)
def test_a_usual_call_is_answered_alike(call, state, short, tmp_path):
    """The same result, metadata and record, whichever way it went."""
    long = with_models(state, {name: Long(served.model) for name, served in state.models.items()})
    found = []
    for name, one in {"short": short, "long": long}.items():
        predictor, logged = core(one, tmp_path / name)
        answers = predictor.predict(call)
        outputs = {output: list(np.asarray(values[0]).ravel()) for output, values in answers.outputs.items()}
        traced = (
            answers.request_features[0],
            answers.default_features[0],
            answers.warnings[0],
            answers.campaign_ids[0],
        )
        found.append((outputs, list(map(str, traced)), logged()))
    assert found[0] == found[1]
    assert singles(short, lambda *_: None)[call.use_case].answer(call, "id") is not None
    assert {*singles(long, lambda *_: None)} <= {"recommender"}


@pytest.mark.parametrize("call", OTHERS.values(), ids=OTHERS)
def test_what_is_not_usual_goes_the_long_way(call, short):
    """It says so, and nothing else."""
    assert singles(short, lambda *_: None)[call.use_case].answer(call, "id") is None


@pytest.mark.parametrize(
    "more",
    [
        {"explain": True},
        {"max_ages": [1.0]},
        {"overrides": {"avg_price": np.array([1.0])}},
        {"max_price": np.ones(1)},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_call_with_more_than_an_id_is_not_plain(more):
    """Explanations, ages, overrides and bounds are looked at elsewhere."""
    assert not Call(use_case="pricing", entity_ids=["5"], **more).plain
    assert not Call(use_case="pricing", entity_ids=["5", "6"]).plain
