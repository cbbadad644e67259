"""What each RPC answers to a request that has nothing wrong with it."""

import math

import pytest
from contract import (
    CLV,
    GET_MODEL,
    LIST_MODELS,
    PRICING,
    RECOMMENDER,
    RPCS,
    SEGMENTATION,
    every_rpc,
    every_rpc_with_features,
)
from shopsphere.v1 import common_pb2

UNKNOWN = "nobody"
WITHIN = {
    "clv": lambda answer: answer.clv_180d >= 0,
    "propensity": lambda answer: 0 <= answer.prob_response <= 1,
    "recommender": lambda answer: 0 < len(answer.items) <= 10,
    "segmentation": lambda answer: answer.cluster_id >= -1 and answer.segment_name,
    "pricing": lambda answer: 0 < answer.price_suggested < math.inf,
}


def warned(answer):
    """The codes of an answer's warnings."""
    return {warning.code for warning in answer.metadata.warnings}


def all_features(rpc, value=1):
    """Every feature of the request, each within its range."""
    return dict.fromkeys(rpc.features(), value)


@every_rpc
def test_an_id_is_all_that_a_request_needs(channel, shop, rpc):
    """The answer repeats the id, is within its range, and names its model, its data and its row in the log."""
    for entity in shop.ids(rpc.key)[:5]:
        answer = rpc.unary(channel, **{rpc.key: entity})
        assert entity == getattr(answer, rpc.key)
        assert WITHIN[rpc.use_case](answer)
        assert answer.metadata.prediction_id
        assert (rpc.use_case, True) == (answer.metadata.model.name, answer.metadata.model.version >= 1)
        assert answer.metadata.data.table.startswith("gold.")
        assert answer.metadata.data.as_of.seconds > 0
        assert list(answer.metadata.request_features) == []


@every_rpc
def test_every_answer_has_an_id_of_its_own(channel, shop, rpc):
    """Also where the same is asked again, and the same is answered."""
    entity = shop.ids(rpc.key)[0]
    first, second = (rpc.unary(channel, **{rpc.key: entity}) for _ in range(2))
    assert first.metadata.prediction_id != second.metadata.prediction_id
    assert getattr(first, rpc.result) == getattr(second, rpc.result)


@every_rpc_with_features
def test_a_given_zero_is_not_an_absent_value(channel, shop, rpc):
    """It is listed as the request's; all other inputs still come from the lake."""
    name = next(iter(rpc.features()))
    entity = shop.ids(rpc.key)[0]
    value = 1 if name == "avg_price" else 0
    answer = rpc.unary(channel, **{rpc.key: entity, "features": {name: value}})
    assert [name] == list(answer.metadata.request_features)
    assert name not in answer.metadata.default_features


@every_rpc_with_features
def test_an_unknown_id_is_answered_where_all_features_are_given(channel, rpc):
    """Then every input is the request's or a training default, and the answer says which."""
    answer = rpc.unary(channel, **{rpc.key: UNKNOWN, "features": all_features(rpc)})
    inputs = {feature.name for feature in GET_MODEL(channel, name=rpc.use_case).model.features}
    given, defaults = set(answer.metadata.request_features), set(answer.metadata.default_features)
    assert WITHIN[rpc.use_case](answer)
    assert set(rpc.features()) == given
    # what describes the campaign comes from the campaign, which the lake knows
    assert {"campaign_days"} >= inputs - given - defaults
    assert ("defaults_used" in warned(answer)) == bool(defaults)


@pytest.mark.parametrize("rpc", [CLV, SEGMENTATION, PRICING, RECOMMENDER], ids=lambda rpc: rpc.use_case)
def test_no_data_is_named_where_no_row_of_the_lake_was_used(channel, rpc):
    """As for an unknown id."""
    features = {"features": all_features(rpc)} if rpc.features() else {}
    assert not rpc.unary(channel, **{rpc.key: UNKNOWN}, **features).metadata.HasField("data")


def test_an_unknown_customer_gets_popular_products(channel):
    """The recommender never says NOT_FOUND: it starts cold and says so."""
    answer = RECOMMENDER.unary(channel, customer_id=UNKNOWN, k=3)
    assert (len(answer.items), "cold_start" in warned(answer)) == (3, True)


def test_recommendations_are_distinct_and_best_first(channel, shop):
    """As many as asked for, and the shorter list begins the longer one."""
    long, short = (RECOMMENDER.unary(channel, customer_id=shop.buyers[0], k=k).items for k in (10, 4))
    scores = [item.score for item in long]
    assert sorted(scores, reverse=True) == scores
    assert len(long) == len({item.product_id for item in long})
    assert [item.product_id for item in long[:4]] == [item.product_id for item in short]


@every_rpc
def test_an_explanation_comes_when_it_is_asked_for(channel, shop, rpc):
    """The result is the same with and without; a view that the server does not know is the basic one."""
    entity = shop.ids(rpc.key)[0]
    views = (common_pb2.VIEW_FULL, common_pb2.VIEW_UNSPECIFIED, common_pb2.VIEW_BASIC, 99)
    full, *others = (rpc.unary(channel, **{rpc.key: entity, "view": view}) for view in views)
    explained = {"contributions", "base_value", "distances", "profile", "explanation"}
    for basic in others:
        assert not explained & {descriptor.name for descriptor, _ in basic.ListFields()}
        if rpc is RECOMMENDER:
            assert not any(item.supporting_product_ids for item in basic.items)
            assert [item.product_id for item in full.items] == [item.product_id for item in basic.items]
        else:
            assert getattr(full, rpc.result) == pytest.approx(getattr(basic, rpc.result), rel=1e-6)


@pytest.mark.parametrize("rpc", RPCS[:2], ids=lambda rpc: rpc.use_case)
def test_contributions_add_up(channel, shop, rpc):
    """To the CLV, and to the log-odds of the probability; largest first."""
    for entity in shop.customers[:10]:
        answer = rpc.unary(channel, customer_id=entity, view=common_pb2.VIEW_FULL)
        moved = [abs(entry.contribution) for entry in answer.contributions]
        total = answer.base_value + sum(entry.contribution for entry in answer.contributions)
        result = getattr(answer, rpc.result)
        assert sorted(moved, reverse=True) == moved
        if answer.HasField("base_value"):
            assert result == pytest.approx(total if rpc is CLV else 1 / (1 + math.exp(-total)), rel=1e-4, abs=1e-4)


def test_a_price_stays_within_the_requests_bounds(channel, shop):
    """Wherever they lie."""
    for low, high in ((0.01, 0.02), (5, 5), (1e6, 2e6)):
        answer = PRICING.unary(channel, product_id=shop.products[0], min_price=low, max_price=high)
        assert low <= answer.price_suggested <= high


@every_rpc
def test_fields_of_a_newer_contract_are_ignored(channel, shop, rpc):
    """A client made from a later version is answered as if it had not set them."""
    request = rpc.unary.request(**{rpc.key: shop.ids(rpc.key)[0]}).SerializeToString()
    number, text = b"\xc0\x3e\x07", b"\xca\x3e\x03new"  # fields 1000 and 1001
    plain, newer = (
        rpc.unary.response.FromString(rpc.unary.bytes_on(channel)(given))
        for given in (request, request + number + text)
    )
    assert getattr(plain, rpc.result) == getattr(newer, rpc.result)


def test_models_tells_what_answers(channel, shop):
    """Each model that is listed is the one that answers, from the data that answers name; its inputs are told."""
    listed = {model.version.name: model for model in LIST_MODELS(channel).models}
    assert {rpc.use_case for rpc in RPCS} == set(listed)
    for rpc in RPCS:
        model = GET_MODEL(channel, name=rpc.use_case).model
        metadata = rpc.unary(channel, **{rpc.key: shop.ids(rpc.key)[0]}).metadata
        assert listed[rpc.use_case] == model
        assert (model.version, model.data) == (metadata.model, metadata.data)
        assert model.kind
        assert model.trained_at.seconds > 0
        assert model.training_data_versions
        requested = [feature.name for feature in model.features if feature.origin == 1]
        assert list(rpc.features()) == requested


def test_models_are_listed_by_name(channel):
    """As models.proto says."""
    names = [model.version.name for model in LIST_MODELS(channel).models]
    assert sorted(names) == names
