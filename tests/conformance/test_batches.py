"""Batches: their size and form, the order of their results, and that each item is answered as it is alone."""

import math

import grpc
import pytest
from contract import CLV, PRICING, PROPENSITY, RECOMMENDER, every_rpc, every_rpc_with_features, refusal, same, told
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st

UNTOLD = ("error", "warnings")


def check_as_alone(channel, rpc, request, result):
    """A batch's result says what the unary call says: every field, or code, reason and sentence of the refusal."""
    try:
        alone = told(rpc.unary.on(channel)(request))
    except grpc.RpcError:
        found = refusal(rpc.unary.on(channel), request)
        number = grpc.StatusCode[found.code].value[0]
        assert (number, found.reason, found.message) == (
            result.error.code,
            result.error.reason,
            result.error.message,
        )
        return
    assert not result.HasField("error")
    within = told(result)
    names = [name for name in result.DESCRIPTOR.fields_by_name if name not in UNTOLD]
    different = [name for name in names if not same(alone.get(name), within.get(name))]
    assert different == []
    if rpc is RECOMMENDER:
        assert alone["warnings"] == within["warnings"]


def ids(shop, rpc):
    """Ids that are known, padded, unknown, missing or too long."""
    return st.sampled_from([*shop.ids(rpc.key)[:20], f"0{shop.ids(rpc.key)[0]}", "nobody", "+1", "", "x" * 65])


def features(rpc):
    """Some of a request's features, most of them within their range."""
    value = {name: st.sampled_from([0, 1, 1, 2, 3]) for name in rpc.features()}
    return st.fixed_dictionaries({}, optional=value)


@every_rpc
@given(data=st.data())
@settings(max_examples=12)
def test_rows_are_answered_as_they_are_alone(channel, shop, rpc, data):
    """Whatever stands beside them: a bad row spoils itself only."""
    rows = st.fixed_dictionaries({rpc.key: ids(shop, rpc)} | ({"features": features(rpc)} if rpc.features() else {}))
    asked = [rpc.unary.request(**row) for row in data.draw(st.lists(rows, min_size=1, max_size=6))]
    results = rpc.batch(channel, requests=asked).results
    assert [getattr(request, rpc.key) for request in asked] == [getattr(result, rpc.key) for result in results]
    for request, result in zip(asked, results, strict=True):
        check_as_alone(channel, rpc, request, result)


@every_rpc_with_features
@given(data=st.data())
@settings(max_examples=12)
def test_columns_are_answered_as_single_requests(channel, shop, rpc, data):
    """Item i has the i-th value of each column."""
    entities = data.draw(st.lists(ids(shop, rpc), min_size=1, max_size=6))
    names = data.draw(st.lists(st.sampled_from(list(rpc.features())), unique=True))
    values = st.lists(st.sampled_from([0, 1, 2]), min_size=len(entities), max_size=len(entities))
    columns = {name: data.draw(values) for name in names}
    results = rpc.batch(channel, **{rpc.keys: entities}, columns=columns).results
    for item, (entity, result) in enumerate(zip(entities, results, strict=True)):
        row = {name: column[item] for name, column in columns.items()}
        check_as_alone(channel, rpc, rpc.unary.request(**{rpc.key: entity, "features": row}), result)


@every_rpc
def test_a_thousand_items_come_back_in_order(channel, shop, rpc):
    """Each with its id as asked; the ones that are unknown in between have an error of their own."""
    known = shop.ids(rpc.key)
    asked = [known[item % len(known)] if item % 7 else f"nobody {item}" for item in range(1000)]
    answer = rpc.batch(channel, **{rpc.keys: asked})
    assert asked == [getattr(result, rpc.key) for result in answer.results]
    failed = [item for item, result in enumerate(answer.results) if result.HasField("error")]
    assert ([] if rpc is RECOMMENDER else [*range(0, 1000, 7)]) == failed
    first = {}
    for entity, result in zip(asked, answer.results, strict=True):
        assert same(getattr(first.setdefault(entity, result), rpc.result), getattr(result, rpc.result))
    assert (rpc.use_case, True) == (answer.metadata.model.name, bool(answer.metadata.batch_id))


@every_rpc
def test_a_batch_of_one_and_of_equal_ids(channel, shop, rpc):
    """An id may come more than once, and is answered each time."""
    entity = shop.ids(rpc.key)[0]
    for count in (1, 3):
        results = rpc.batch(channel, **{rpc.keys: [entity] * count}).results
        assert [entity] * count == [getattr(result, rpc.key) for result in results]
        for result in results:
            check_as_alone(channel, rpc, rpc.unary.request(**{rpc.key: entity}), result)


@every_rpc
def test_a_batch_has_1_to_1000_items_in_one_form(channel, rpc):
    """Nothing, too many ids, too many rows, and ids beside rows are refused as a whole."""
    row = rpc.unary.request(**{rpc.key: "1"})
    wrong = [{}, {rpc.keys: ["1"] * 1001}, {"requests": [row] * 1001}, {rpc.keys: ["1"], "requests": [row]}]
    for form in wrong:
        told_of = refusal(rpc.batch, channel, **form)
        assert (told_of.code, bool(told_of.fields)) == ("INVALID_ARGUMENT", True)


@every_rpc_with_features
@pytest.mark.parametrize("length", [1, 3])
def test_columns_are_as_long_as_the_ids(channel, rpc, length):
    """All that are not are named."""
    columns = {name: [1] * length for name in rpc.features()}
    told_of = refusal(rpc.batch, channel, **{rpc.keys: ["1", "2"]}, columns=columns)
    assert ("INVALID_ARGUMENT", {f"columns.{name}" for name in columns}) == (told_of.code, set(told_of.fields))


def test_bounds_of_prices_are_as_long_as_the_ids(channel):
    """All three are named."""
    bounds = {key: [1.0] for key in ("min_price", "max_price", "unit_cost")}
    told_of = refusal(PRICING.batch, channel, product_ids=["1", "2"], **bounds)
    assert ("INVALID_ARGUMENT", set(bounds)) == (told_of.code, set(told_of.fields))


def test_all_that_is_wrong_with_a_batch_is_listed(channel):
    """Too many ids, a short column and a short bound at once."""
    wrong = {"columns": {"units": [1]}, "min_price": [1.0]}
    told_of = refusal(PRICING.batch, channel, product_ids=["1"] * 1001, **wrong)
    assert {"columns.units", "min_price"} < set(told_of.fields)


@pytest.mark.parametrize(
    ("rpc", "beside"),
    [
        (CLV, {"columns": {"monetary": [1.0]}}),
        (PRICING, {"min_price": [1.0]}),
        (PROPENSITY, {"campaign_id": "1"}),
        (RECOMMENDER, {"k": 3}),
    ],
    ids=lambda value: getattr(value, "use_case", None),
)
def test_nothing_that_is_given_is_left_unread(channel, shop, rpc, beside):
    """What belongs to packed ids is refused beside rows, which have their own."""
    row = rpc.unary.request(**{rpc.key: shop.ids(rpc.key)[0]})
    told_of = refusal(rpc.batch, channel, requests=[row], **beside)
    assert told_of.code == "INVALID_ARGUMENT"


@every_rpc
def test_a_row_may_ask_for_fresh_features(channel, shop, rpc):
    """As a unary request may; the other rows are answered."""
    ask = {rpc.key: shop.ids(rpc.key)[0]}
    rows = [rpc.unary.request(**ask), rpc.unary.request(**ask, max_feature_age=Duration(seconds=1))]
    results = rpc.batch(channel, requests=rows).results
    assert [result.error.reason for result in results] == ["", "FEATURES_TOO_OLD"]


@every_rpc_with_features
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_spoils_its_item_only(channel, shop, rpc, value):
    """Of a packed column."""
    name = next(name for name, found in rpc.features().items() if found.cpp_type == found.CPPTYPE_DOUBLE)
    results = rpc.batch(channel, **{rpc.keys: shop.ids(rpc.key)[:3]}, columns={name: [1, value, 1]}).results
    assert [result.error.reason for result in results] == ["", "INVALID_FIELD", ""]
    assert name in results[1].error.message


def test_crossed_prices_spoil_their_item_only(channel, shop):
    """In the packed form; NaN is no bound."""
    bounds = {"min_price": [1, 3, math.nan], "max_price": [2, 2, 2]}
    results = PRICING.batch(channel, product_ids=shop.products[:3], **bounds).results
    assert [result.error.reason for result in results] == ["", "INVALID_FIELD", "INVALID_FIELD"]


def test_options_of_a_batch_hold_for_each_of_its_ids(channel, shop):
    """As if each had been asked alone with them."""
    options = {"k": 3, "include_repeats": False, "exclude_product_ids": shop.products[:5]}
    asked = [*shop.buyers[:5], "nobody"]
    results = RECOMMENDER.batch(channel, customer_ids=asked, **options).results
    for entity, result in zip(asked, results, strict=True):
        check_as_alone(channel, RECOMMENDER, RECOMMENDER.unary.request(customer_id=entity, **options), result)
