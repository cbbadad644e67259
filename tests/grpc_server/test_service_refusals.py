"""What is refused over a real gRPC server and REST, and what the refusal says."""

import json

import grpc
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from rpc_checks import refused
from shopsphere.v1 import (
    clv_pb2,
    clv_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    pricing_pb2,
    pricing_pb2_grpc,
    segmentation_pb2,
)

from grpc_server.call import Call
from grpc_server.errors import CallError
from grpc_server.metrics import Metrics
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.state import StateHolder


@pytest.mark.parametrize(
    ("features", "field"),
    [
        ({"tx_count": -1}, "features.tx_count"),
        ({"monetary": float("nan")}, "features.monetary"),
        ({"monetary": float("inf")}, "features.monetary"),
        ({"avg_discount": 1.5}, "features.avg_discount"),
    ],
)
def test_a_feature_out_of_its_range_is_named(channel, features, field):
    """With all others that are wrong."""
    request = clv_pb2.PredictClvRequest(customer_id="", features=clv_pb2.ClvFeatures(**features))
    call = clv_pb2_grpc.ClvServiceStub(channel).PredictClv
    assert refused(call, request) == ("INVALID_ARGUMENT", "INVALID_FIELD", ["customer_id", field])


def test_price_bounds_are_checked_before_the_product_is_looked_up(channel):
    """An unknown product with crossed bounds is an invalid argument."""
    call = pricing_pb2_grpc.PricingServiceStub(channel).SuggestPrice
    request = pricing_pb2.SuggestPriceRequest(product_id="404", min_price=2, max_price=1)
    assert refused(call, request)[::2] == ("INVALID_ARGUMENT", ["min_price", "max_price"])


def test_a_cost_above_the_highest_price_is_refused_with_both_named(channel):
    """No price could cover it."""
    call = pricing_pb2_grpc.PricingServiceStub(channel).SuggestPrice
    request = pricing_pb2.SuggestPriceRequest(product_id="5", unit_cost=3, max_price=2)
    assert refused(call, request)[::2] == ("INVALID_ARGUMENT", ["unit_cost", "max_price"])


def test_an_unknown_customer_needs_all_features(channel):
    """NOT_FOUND names what is missing; with all of them there is an answer."""
    call = clv_pb2_grpc.ClvServiceStub(channel).PredictClv
    assert refused(call, clv_pb2.PredictClvRequest(customer_id="404"))[:2] == ("NOT_FOUND", "UNKNOWN_CUSTOMER")
    every = clv_pb2.ClvFeatures(**{field.name: 1 for field in clv_pb2.ClvFeatures.DESCRIPTOR.fields})
    assert call(clv_pb2.PredictClvRequest(customer_id="404", features=every)).clv_180d == 1.0


def test_a_service_without_a_champion_says_so(channel):
    """FAILED_PRECONDITION, with what to run; an unknown model is not found."""
    call = channel.unary_unary(
        "/shopsphere.v1.SegmentationService/AssignSegment",
        request_serializer=segmentation_pb2.AssignSegmentRequest.SerializeToString,
        response_deserializer=segmentation_pb2.AssignSegmentResponse.FromString,
    )
    request = segmentation_pb2.AssignSegmentRequest(customer_id="1")
    assert refused(call, request)[:2] == ("FAILED_PRECONDITION", "NO_CHAMPION")
    models = models_pb2_grpc.ModelsServiceStub(channel)
    assert refused(models.GetModel, models_pb2.GetModelRequest(name="x"))[0] == "NOT_FOUND"
    assert {model.version.name for model in models.ListModels(models_pb2.ListModelsRequest()).models} == {
        "clv",
        "propensity",
        "recommender",
        "pricing",
    }


def test_a_server_that_starts_asks_for_patience(tmp_path):
    """UNAVAILABLE and not "no champion" before the first state is loaded."""
    holder = StateHolder()
    predictor = Predictor(holder, PredictionLog(tmp_path), Metrics(holder))
    with pytest.raises(CallError, match="starting") as caught:
        predictor.predict(Call(use_case="clv", entity_ids=["1"]))
    assert (caught.value.code, caught.value.retry_seconds) == ("UNAVAILABLE", 1)


def test_old_features_can_be_refused(channel):
    """Who asks for fresh features gets no stale answer."""
    request = clv_pb2.PredictClvRequest(customer_id="1")
    request.max_feature_age.FromSeconds(60)
    assert refused(clv_pb2_grpc.ClvServiceStub(channel).PredictClv, request)[1] == "FEATURES_TOO_OLD"


def test_a_fault_of_ours_tells_nothing(channel):
    """INTERNAL with an id that finds the traceback in the log, and no exception text."""
    call = clv_pb2_grpc.ClvServiceStub(channel).PredictClv
    with pytest.raises(grpc.RpcError) as caught:
        call(clv_pb2.PredictClvRequest(customer_id="1", features=clv_pb2.ClvFeatures(monetary=666)))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in caught.value.details()


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.sampled_from(["customer_id", "features", "monetary", "k", "x"]), inner)
    ),
    max_leaves=8,
)


@given(body=JSON)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_makes_the_server_fail(rest, body):
    """Whatever the body, the answer is 200 or the client's fault."""
    answer = rest("POST", "/score/clv", content=json.dumps(body))
    assert answer.status_code in (200, 400, 404)
    assert answer.json()["ok"] == (answer.status_code == 200)


def test_rest_is_not_ready_without_all_champions(rest):
    """503, and which service lacks one."""
    answer = rest("GET", "/ready")
    assert answer.status_code == 503
    assert not answer.json()["services"]["segmentation"]
