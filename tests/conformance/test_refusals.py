"""Every documented way in which an RPC says no: the status, and details that a program can read."""

import math

import pytest
from contract import (
    CLV,
    GET_MODEL,
    PRICING,
    PROPENSITY,
    RECOMMENDER,
    code_of,
    every_rpc,
    every_rpc_with_features,
    refusal,
)
from google.protobuf.duration_pb2 import Duration

COUNTS = {"events_view_count": -1, "events_add_to_cart_count": -1, "events_purchase_count": -1}
PERSON = {"age": -1, "is_male": 2, "loyalty_level": 4}
SPENDING = {"recency_days": -1, "tx_count": -1, "monetary": math.nan, "avg_discount": 1.5, "avg_quantity": -1}
OUT_OF_RANGE = {
    "clv": SPENDING | COUNTS | PERSON | {"premium_tx_share": -0.1, "avg_session_duration_sec": -1},
    "propensity": COUNTS | PERSON | {"uplift_mean": math.inf},
    "segmentation": SPENDING | {"age": 131, "loyalty_level": -1},
    "pricing": {"avg_price": -1, "units": -1, "revenue": math.nan, "avg_discount": -1, "premium_share": 1.1},
}


@every_rpc
def test_an_id_is_required(channel, rpc):
    """And named as what is missing."""
    told = refusal(rpc.unary, channel)
    assert ("INVALID_ARGUMENT", "INVALID_FIELD", [rpc.key]) == (told.code, told.reason, told.fields)


@every_rpc_with_features
def test_all_that_is_wrong_is_listed(channel, shop, rpc):
    """The id and every single feature."""
    wrong = OUT_OF_RANGE[rpc.use_case]
    told = refusal(rpc.unary, channel, **{rpc.key: "x" * 65, "features": wrong})
    assert told.code == "INVALID_ARGUMENT"
    assert {rpc.key, *(f"features.{name}" for name in rpc.features())} == set(told.fields)
    for name, value in wrong.items():
        told = refusal(rpc.unary, channel, **{rpc.key: shop.ids(rpc.key)[0], "features": {name: value}})
        assert ("INVALID_ARGUMENT", [f"features.{name}"]) == (told.code, told.fields)


@every_rpc_with_features
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_feature_is_a_finite_number(channel, shop, rpc, value):
    """NaN and the infinities are refused in every field that could hold one."""
    names = [name for name, found in rpc.features().items() if found.cpp_type == found.CPPTYPE_DOUBLE]
    told = refusal(rpc.unary, channel, **{rpc.key: shop.ids(rpc.key)[0], "features": dict.fromkeys(names, value)})
    assert ("INVALID_ARGUMENT", {f"features.{name}" for name in names}) == (told.code, set(told.fields))


def test_all_wrong_options_of_a_recommendation_are_listed(channel):
    """Beside the id."""
    wrong = {"k": 0, "categories": ["x"] * 101, "country": "x" * 65}
    lists = {name: ["1"] * 1001 for name in ("exclude_product_ids", "recent_product_ids")}
    told = refusal(RECOMMENDER.unary, channel, **wrong, **lists)
    assert ("INVALID_ARGUMENT", {"customer_id", *wrong, *lists}) == (told.code, set(told.fields))


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf])
def test_prices_are_positive_and_finite(channel, shop, value):
    """All three that a request may give."""
    wrong = dict.fromkeys(("min_price", "max_price", "unit_cost"), value)
    told = refusal(PRICING.unary, channel, product_id=shop.products[0], **wrong)
    assert ("INVALID_ARGUMENT", set(wrong)) == (told.code, set(told.fields))


@pytest.mark.parametrize("low", ["min_price", "unit_cost"])
def test_bounds_that_cross_are_both_named(channel, low):
    """Before the product is looked up: an unknown one with crossed bounds is an invalid argument."""
    told = refusal(PRICING.unary, channel, product_id="nothing", max_price=2, **{low: 3})
    assert ("INVALID_ARGUMENT", [low, "max_price"]) == (told.code, told.fields)


@every_rpc_with_features
def test_an_unknown_id_is_named_with_what_is_missing(channel, rpc):
    """Of the request's features those that were not given."""
    given, *missing = rpc.features()
    told = refusal(rpc.unary, channel, **{rpc.key: "nobody", "features": {given: 1}})
    entity = rpc.key.removesuffix("_id")
    assert ("NOT_FOUND", f"UNKNOWN_{entity.upper()}", (entity, "nobody")) == (told.code, told.reason, told.resource)
    listed = told.message.partition("missing: ")[2].split(", ")
    assert [name for name in missing if name != "uplift_mean"] == [name for name in listed if name != "uplift_mean"]


def test_an_unknown_campaign_is_named(channel, shop):
    """Also for a customer that the lake knows."""
    told = refusal(PROPENSITY.unary, channel, customer_id=shop.customers[0], campaign_id="none")
    assert (told.code, told.reason, told.resource) == ("NOT_FOUND", "UNKNOWN_CAMPAIGN", ("campaign", "none"))


def test_an_unknown_campaign_fails_a_whole_batch(channel, shop):
    """It is one campaign for all of customer_ids, and NOT_FOUND is documented for the call."""
    told = refusal(PROPENSITY.batch, channel, customer_ids=shop.customers[:2], campaign_id="none")
    assert (told.code, told.resource) == ("NOT_FOUND", ("campaign", "none"))


@pytest.mark.parametrize("name", ["", "nothing", "CLV", "clv ", "ü", "x" * 20_000, "😀" * 5_000])
def test_an_unknown_model_is_not_found(channel, name):
    """However long its name: the status fits into what a client accepts of headers."""
    told = refusal(GET_MODEL, channel, name=name)
    assert (told.code, told.reason, told.resource[0]) == ("NOT_FOUND", "UNKNOWN_MODEL", "model")
    assert name.startswith(told.resource[1].removesuffix("…"))


def test_a_campaigns_id_is_as_short_as_any(channel, shop):
    """At most 64 characters."""
    ask = {"customer_id": shop.customers[0]}
    assert refusal(PROPENSITY.unary, channel, **ask, campaign_id="x" * 64).code == "NOT_FOUND"
    told = refusal(PROPENSITY.unary, channel, **ask, campaign_id="x" * 65)
    assert (told.code, told.fields) == ("INVALID_ARGUMENT", ["campaign_id"])


@every_rpc
def test_features_older_than_asked_are_refused(channel, shop, rpc):
    """FAILED_PRECONDITION, where a generous age is answered."""
    ask = {rpc.key: shop.ids(rpc.key)[0]}
    told = refusal(rpc.unary, channel, **ask, max_feature_age=Duration(seconds=1))
    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "FEATURES_TOO_OLD")
    century = Duration(seconds=100 * 366 * 86_400)
    assert rpc.unary(channel, **ask, max_feature_age=century).metadata.prediction_id


@every_rpc
def test_an_invalid_argument_is_told_before_old_features(channel, rpc):
    """No newer features would make it right."""
    told = refusal(rpc.unary, channel, max_feature_age=Duration(seconds=1))
    assert ("INVALID_ARGUMENT", [rpc.key]) == (told.code, told.fields)


@pytest.mark.parametrize(
    "age",
    [
        Duration(seconds=2**62),
        Duration(seconds=315_576_000_000),
        Duration(seconds=-1),
        Duration(seconds=1, nanos=-5),
        Duration(nanos=2**31 - 1),
    ],
    ids=lambda age: f"{age.seconds}s{age.nanos}n",
)
def test_no_duration_is_a_fault_of_ours(channel, shop, age):
    """Whatever is asked for, features are older than that or not, or the duration is refused."""
    ask = CLV.unary.request(customer_id=shop.customers[0], max_feature_age=age)
    assert code_of(CLV.unary.on(channel), ask) in ("OK", "FAILED_PRECONDITION", "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "path",
    [
        "/shopsphere.v1.ClvService/Nothing",
        "/shopsphere.v1.ClvService/predictclv",
        "/shopsphere.v1.Nothing/PredictClv",
        "/shopsphere.v2.ClvService/PredictClv",
        "/PredictClv",
        "/",
    ],
)
def test_what_is_not_there_is_unimplemented(channel, path):
    """Unknown methods, services, packages."""
    assert code_of(channel.unary_unary(path), b"") == "UNIMPLEMENTED"
