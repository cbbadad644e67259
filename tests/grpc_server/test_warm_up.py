"""A model's first answers, about what the snapshot holds."""

from dataclasses import replace

import numpy as np
import pytest

from grpc_server.call import Call
from grpc_server.metrics import Metrics
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.recommend_options import RecommendOptions
from grpc_server.state import StateHolder
from grpc_server.warm_up import warm_up
from training.artifact import ArtifactError
from training.constant import ConstantModel


def test_every_model_is_warmed_up_by_calls_that_nobody_sees(state, tmp_path):
    """It answers about customers or products of the lake, and nothing is logged."""
    for model in state.models.values():
        warm_up(model, state)

    assert not (tmp_path / "spool").exists()


def test_a_model_that_answers_no_number_does_not_go_live(state):
    """Golden rows of its training cannot show that."""
    model = ConstantModel("clv", output="clv_180d", value=np.nan, defaults={"monetary": 7.0})

    with pytest.raises(ArtifactError, match="no number about a customer"):
        warm_up(replace(state.models["clv"], model=model), state)


@pytest.fixture
def asked_lately(state, tmp_path):
    """What the log of a worker says after some calls, of which one file is closed."""
    holder, log = StateHolder(), PredictionLog(tmp_path / "spool")
    holder.swap(state)
    predictor = Predictor(holder, log, Metrics(holder))
    predictor.predict(Call(use_case="clv", entity_ids=["1"], overrides={"monetary": np.array([50.0])}))
    log.close()
    predictor.predict(Call(use_case="recommender", entity_ids=["1"], k=[2], recommend=[NO_TOYS]))
    return log.recent()


NO_TOYS = RecommendOptions(include_repeats=False, categories=("Home",), recent_product_ids=("8",))


class Listening:
    """A model that remembers what it was asked, and may have had enough of it."""

    def __init__(self, model, limit=None):
        self.kind, self.params, self.defaults = model.kind, model.params, model.defaults
        self._model, self._limit, self.asked = model, limit, []

    def predict(self, inputs, options):
        """As the other does, until it was asked for more than the limit."""
        self.asked.append((inputs, options))
        if self._limit and inputs["monetary"].max() > self._limit:
            raise RuntimeError("too rich")
        return self._model.predict(inputs, options)


def test_it_is_asked_what_callers_asked_lately(state, asked_lately):
    """With their values and options, whatever file of the log they are in."""
    models = {name: replace(state.models[name], model=Listening(state.models[name].model)) for name in state.models}
    for model in models.values():
        warm_up(model, state, asked_lately)

    inputs, _ = models["clv"].model.asked[-1]
    assert list(inputs["monetary"]) == [50.0]
    inputs, options = models["recommender"].model.asked[-1]
    assert (options["k"][0], options["include_repeats"][0], options["categories"][0]) == (2, 0.0, ["Home"])
    assert [list(ids) for ids in inputs["history_product_ids"]] == [[5, 6]]
    assert len(models["pricing"].model.asked) == 2  # the snapshot's one product, alone and as a batch


def test_a_model_that_fails_on_what_was_asked_lately_does_not_go_live(state, asked_lately):
    """The rows of the lake alone would not have shown that."""
    picky = replace(state.models["clv"], model=Listening(state.models["clv"].model, limit=10))

    warm_up(picky, state)
    with pytest.raises(RuntimeError, match="too rich"):
        warm_up(picky, state, asked_lately)
