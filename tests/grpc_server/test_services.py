"""What the services answer over a real gRPC server, on models and features made by hand."""

import json
from datetime import datetime

import pytest
from rpc_checks import logged, refused
from shopsphere.v1 import (
    clv_pb2,
    clv_pb2_grpc,
    common_pb2,
    pricing_pb2,
    pricing_pb2_grpc,
    propensity_pb2,
    propensity_pb2_grpc,
    recommender_pb2,
    recommender_pb2_grpc,
    segmentation_pb2,
)

from grpc_server.call import Call
from grpc_server.metrics import Metrics
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.state import StateHolder
from training.spend_model import LEVELS
from training.use_cases import USE_CASES


def test_a_value_comes_from_request_then_lake_then_default(channel, tmp_path):
    """And the answer and its log record say which."""
    clv = clv_pb2_grpc.ClvServiceStub(channel)
    by_lake = clv.PredictClv(clv_pb2.PredictClvRequest(customer_id="1"))
    zero = clv_pb2.ClvFeatures(monetary=0)
    by_request = clv.PredictClv(clv_pb2.PredictClvRequest(customer_id="1", features=zero))
    by_default = clv.PredictClv(clv_pb2.PredictClvRequest(customer_id="2"))
    assert [answer.clv_180d for answer in (by_lake, by_request, by_default)] == [1.0, 0.0, 7.0]
    assert by_request.metadata.request_features == ["monetary"]
    assert "monetary" in by_default.metadata.default_features
    assert [warning.code for warning in by_default.metadata.warnings] == ["defaults_used"]
    assert (by_lake.metadata.data.version, by_lake.metadata.data.as_of.ToDatetime()) == (4, datetime(2024, 3, 1))
    records = logged(tmp_path)
    assert [record["ids"] for record in records] == [
        [answer.metadata.prediction_id] for answer in (by_lake, by_request, by_default)
    ]
    assert [record["columns"]["monetary"] for record in records] == [[1.0], [0.0], [7.0]]


def test_clv_comes_with_its_percentiles(channel, rest):
    """In the unary answer, in each result of a batch, and as further fields of the REST answer."""
    clv = clv_pb2_grpc.ClvServiceStub(channel)
    one = clv.PredictClv(clv_pb2.PredictClvRequest(customer_id="1"))
    batch = clv.BatchPredictClv(clv_pb2.BatchPredictClvRequest(customer_ids=["404", "1"])).results
    by_rest = rest("POST", "/score/clv", content=json.dumps({"customer_id": 1})).json()

    for answer in (one, batch[1]):
        assert [getattr(answer, name) for name in LEVELS] == [1.0, 2.0, 3.0]
    assert not batch[0].HasField("clv_180d_p50")
    assert [by_rest[name] for name in LEVELS] == [1.0, 2.0, 3.0]


def test_the_other_services_answer_by_id(channel):
    """The campaign is chosen, the recommender starts cold, the price moves down where demand is elastic."""
    propensity = propensity_pb2_grpc.PropensityServiceStub(channel)
    score = propensity.ScorePropensity(propensity_pb2.ScorePropensityRequest(customer_id="1"))
    assert (score.prob_response, score.campaign_id) == (0.25, "9")
    assert {"baseline", "campaign_ended"} <= {warning.code for warning in score.metadata.warnings}
    recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)
    cold = recommender.Recommend(recommender_pb2.RecommendRequest(customer_id="stranger", k=2))
    assert [item.product_id for item in cold.items] == ["5", "6"]
    assert [warning.code for warning in cold.metadata.warnings] == ["cold_start"]
    pricing = pricing_pb2_grpc.PricingServiceStub(channel)
    request = pricing_pb2.SuggestPriceRequest(product_id="5", min_price=9.5, view=common_pb2.VIEW_FULL)
    price = pricing.SuggestPrice(request)
    assert price.price_suggested >= 9.5
    assert price.explanation.elasticity == price.elasticity == -3.0
    assert price.elasticity_p5 < -3.0 < price.elasticity_p95 < -2.8
    assert [point.price for point in price.explanation.curve] == [10.0]


def test_a_price_covers_the_cost_that_a_request_gives(channel):
    """One by one and in a batch; in the packed form too."""
    stub = pricing_pb2_grpc.PricingServiceStub(channel)
    one = stub.SuggestPrice(pricing_pb2.SuggestPriceRequest(product_id="5", unit_cost=12))
    assert (one.price_suggested, one.reason) == (12.0, "cost")
    batch = stub.BatchSuggestPrice(pricing_pb2.BatchSuggestPriceRequest(product_ids=["5", "5"], unit_cost=[12, 1]))
    assert [result.price_suggested for result in batch.results] == [12.0, 10.0]
    assert batch.results[0].elasticity == -3.0


def test_an_answer_that_cannot_be_logged_says_so(channel, rest, tmp_path):
    """It goes out all the same, with a warning: unary, in a batch and over REST."""
    (tmp_path / "spool").write_text("a file where the folder should be")
    stub = clv_pb2_grpc.ClvServiceStub(channel)
    one = stub.PredictClv(clv_pb2.PredictClvRequest(customer_id="1"))
    batch = stub.BatchPredictClv(clv_pb2.BatchPredictClvRequest(customer_ids=["404", "1"]))
    assert [warning.code for warning in one.metadata.warnings] == ["not_logged"]
    assert [warning.code for warning in batch.metadata.warnings] == ["not_logged"]
    assert rest("POST", "/score/clv", content='{"customer_id": 1}').json()["warnings"] == ["not_logged"]
    assert (one.clv_180d, batch.results[1].clv_180d) == (1.0, 1.0)


def test_an_answer_that_the_sample_leaves_out_says_so(tmp_path, state):
    """And the log has only the others."""
    holder = StateHolder()
    holder.swap(state)
    log = PredictionLog(tmp_path / "spool", rates={"clv": 0.5})
    predictor = Predictor(holder, log, Metrics(holder))
    answers = [predictor.predict(Call(use_case="clv", entity_ids=["1"])) for _ in range(40)]
    kept = [answer.prediction_id(0) for answer in answers if "not_logged" not in answer.warnings[0]]
    assert 0 < len(kept) < 40
    assert [[kept_id] for kept_id in kept] == [record["ids"] for record in logged(tmp_path)]


def test_a_batch_has_a_shape(channel, tmp_path):
    """In order, errors per item, ids or rows, at most 1,000, columns as long as the ids; one record for all."""
    call = clv_pb2_grpc.ClvServiceStub(channel).BatchPredictClv
    columns = clv_pb2.ClvFeatureColumns(monetary=[3, 4, 5])
    answer = call(clv_pb2.BatchPredictClvRequest(customer_ids=["2", "404", "1"], columns=columns))
    assert [result.clv_180d for result in answer.results] == [3.0, 0.0, 5.0]
    assert answer.results[1].error.reason == "UNKNOWN_CUSTOMER"
    batch = answer.metadata.batch_id
    assert [record["ids"] for record in logged(tmp_path)] == [[f"{batch}-0", f"{batch}-2"]]
    wrong = [
        clv_pb2.BatchPredictClvRequest(customer_ids=["1"] * 1001),
        clv_pb2.BatchPredictClvRequest(),
        clv_pb2.BatchPredictClvRequest(customer_ids=["1"], columns=columns),
        clv_pb2.BatchPredictClvRequest(customer_ids=["1"], requests=[clv_pb2.PredictClvRequest(customer_id="1")]),
    ]
    assert {refused(call, request)[0] for request in wrong} == {"INVALID_ARGUMENT"}


@pytest.mark.parametrize(
    "use_case", [use_case for use_case in USE_CASES if use_case.features], ids=lambda one: one.name
)
def test_request_fields_are_the_overridable_features(use_case):
    """The wire's feature message has exactly the use case's overridable features, in its order."""
    modules = {"clv": clv_pb2, "propensity": propensity_pb2, "segmentation": segmentation_pb2, "pricing": pricing_pb2}
    message = getattr(modules[use_case.name], f"{use_case.name.capitalize()}Features")
    overridable = [feature.name for feature in use_case.features if feature.override]
    assert [field.name for field in message.DESCRIPTOR.fields] == overridable
