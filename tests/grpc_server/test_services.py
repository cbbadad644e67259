"""The services over a real gRPC server, on models and features made by hand."""

import json
import subprocess
import sys
from datetime import datetime

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings, strategies
from shopsphere.v1 import (
    clv_pb2,
    clv_pb2_grpc,
    common_pb2,
    models_pb2,
    models_pb2_grpc,
    pricing_pb2,
    pricing_pb2_grpc,
    propensity_pb2,
    propensity_pb2_grpc,
    recommender_pb2,
    recommender_pb2_grpc,
    segmentation_pb2,
)

from grpc_server.call import Call
from grpc_server.errors import CallError
from grpc_server.metrics import Metrics
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.spool import read_records
from grpc_server.state import StateHolder
from training.spend_model import LEVELS
from training.use_cases import USE_CASES


def logged(tmp_path):
    """All records in the spool."""
    return [record for path in sorted(tmp_path.glob("spool/*/*")) for record in read_records(path)]


def refused(call, request):
    """The canonical code, the reason and the violated fields of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(caught.value).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return caught.value.code().name, info.reason, [violation.field for violation in bad.field_violations]


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


def recommended(answer):
    """Products and warnings of an answer."""
    warnings = answer.warnings if hasattr(answer, "warnings") else answer.metadata.warnings
    return [item.product_id for item in answer.items], [warning.code for warning in warnings]


@pytest.mark.parametrize(
    ("asked", "products", "warnings"),
    [
        ({"customer_id": "1"}, ["5", "6", "8"], []),
        ({"customer_id": "1", "include_repeats": False}, ["8"], []),
        ({"customer_id": "1", "categories": ["Sports"], "exclude_product_ids": ["8"]}, ["6"], []),
        ({"customer_id": "1", "categories": ["Cars"]}, [], ["no_products_left"]),
        ({"customer_id": "7"}, ["5", "6", "8"], ["cold_start"]),
        ({"customer_id": "7", "country": "US"}, ["8", "6", "5"], ["cold_start"]),
        ({"customer_id": "2"}, ["8", "6", "5"], ["cold_start"]),
        ({"customer_id": "7", "recent_product_ids": ["5", "x"], "include_repeats": False}, ["6", "8"], []),
    ],
)
def test_a_recommendation_takes_options(channel, rest, asked, products, warnings):
    """The same from a unary call, a batch and REST; a cold customer's country comes from request or lake."""
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = recommender_pb2.RecommendRequest(**asked)
    assert recommended(stub.Recommend(request)) == (products, warnings)
    batch = stub.BatchRecommend(recommender_pb2.BatchRecommendRequest(requests=[request, request]))
    assert [recommended(result) for result in batch.results] == [(products, warnings)] * 2
    document = rest("POST", "/recommend", content=json.dumps(asked)).json()
    assert [item["product_id"] for item in document["rec_list"]] == products
    assert document["warnings"] == warnings


def test_options_of_a_recommendation_have_limits(channel, rest):
    """All that are broken are named; REST names wrong types too."""
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = recommender_pb2.RecommendRequest(customer_id="1", country="x" * 65, categories=["a"] * 101)
    assert refused(stub.Recommend, request)[2] == ["categories", "country"]
    wrong = {"customer_id": 1, "include_repeats": "yes", "categories": "Toys", "country": 3}
    told = rest("POST", "/recommend", content=json.dumps(wrong)).json()["error"]
    assert all(name in json.dumps(told) for name in ("include_repeats", "categories", "country"))


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


@pytest.mark.parametrize("k", [-1, 0, 1001])
def test_k_has_bounds(channel, k):
    """1 to 1,000."""
    call = recommender_pb2_grpc.RecommenderServiceStub(channel).Recommend
    assert refused(call, recommender_pb2.RecommendRequest(customer_id="1", k=k))[2] == ["k"]


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


def test_a_price_covers_the_cost_that_a_request_gives(channel):
    """One by one and in a batch; in the packed form too."""
    stub = pricing_pb2_grpc.PricingServiceStub(channel)
    one = stub.SuggestPrice(pricing_pb2.SuggestPriceRequest(product_id="5", unit_cost=12))
    assert (one.price_suggested, one.reason) == (12.0, "cost")
    batch = stub.BatchSuggestPrice(pricing_pb2.BatchSuggestPriceRequest(product_ids=["5", "5"], unit_cost=[12, 1]))
    assert [result.price_suggested for result in batch.results] == [12.0, 10.0]
    assert batch.results[0].elasticity == -3.0


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


@pytest.mark.parametrize(
    "use_case", [use_case for use_case in USE_CASES if use_case.features], ids=lambda one: one.name
)
def test_request_fields_are_the_overridable_features(use_case):
    """The wire's feature message has exactly the use case's overridable features, in its order."""
    modules = {"clv": clv_pb2, "propensity": propensity_pb2, "segmentation": segmentation_pb2, "pricing": pricing_pb2}
    message = getattr(modules[use_case.name], f"{use_case.name.capitalize()}Features")
    overridable = [feature.name for feature in use_case.features if feature.override]
    assert [field.name for field in message.DESCRIPTOR.fields] == overridable


def test_recent_products_that_nobody_sells_leave_a_customer_cold(channel, tmp_path):
    """The warning and the country's products come all the same, and the log has what was asked."""
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = recommender_pb2.RecommendRequest(customer_id="7", recent_product_ids=["999999999"], country="US")
    assert recommended(stub.Recommend(request)) == (["8", "6", "5"], ["cold_start"])
    assert logged(tmp_path)[0]["columns"]["recent_product_ids"] == [["999999999"]]


def test_a_worker_keeps_to_one_core():
    """Counted on where there are fewer."""
    code = "import os; from grpc_server.worker import _pin; _pin(1001); print(len(os.sched_getaffinity(0)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"
