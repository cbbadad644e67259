"""Recommendations over a real gRPC server: their options, limits and warnings."""

import json

import pytest
from rpc_checks import logged, refused
from shopsphere.v1 import (
    recommender_pb2,
    recommender_pb2_grpc,
)


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


def test_recent_products_that_nobody_sells_leave_a_customer_cold(channel, tmp_path):
    """The warning and the country's products come all the same, and the log has what was asked."""
    stub = recommender_pb2_grpc.RecommenderServiceStub(channel)
    request = recommender_pb2.RecommendRequest(customer_id="7", recent_product_ids=["999999999"], country="US")
    assert recommended(stub.Recommend(request)) == (["8", "6", "5"], ["cold_start"])
    assert logged(tmp_path)[0]["columns"]["recent_product_ids"] == [["999999999"]]


@pytest.mark.parametrize("k", [-1, 0, 1001])
def test_k_has_bounds(channel, k):
    """1 to 1,000."""
    call = recommender_pb2_grpc.RecommenderServiceStub(channel).Recommend
    assert refused(call, recommender_pb2.RecommendRequest(customer_id="1", k=k))[2] == ["k"]
