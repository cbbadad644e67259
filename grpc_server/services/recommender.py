"""Product recommendations on the wire."""

from dataclasses import fields
from typing import Any

from shopsphere.v1 import recommender_pb2 as pb
from shopsphere.v1 import recommender_pb2_grpc

from grpc_server.call import Call
from grpc_server.item_lists import ITEMS
from grpc_server.predictor import Predictor
from grpc_server.recommend_options import NOTHING_ASKED, RecommendOptions
from grpc_server.services import wire

ASKED = {entry.name for entry in fields(RecommendOptions)}


class RecommenderService(recommender_pb2_grpc.RecommenderServiceServicer):
    """See the comments of recommender.proto."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:
        k, recommend = (_optional(request, "k"),), (_options(request),)
        answers = self._predictor.predict(
            wire.call("recommender", request.customer_id, request, features=False, k=k, recommend=recommend)
        )
        answers.check_first()
        response = pb.RecommendResponse(customer_id=request.customer_id)
        response.MergeFromString(answers.outputs[ITEMS][0])
        for item, rests in zip(response.items, answers.explanation.get("supporting_product_ids", ()), strict=False):
            item.supporting_product_ids.extend(map(str, rests))
        wire.trace(response.metadata, answers)
        return response

    def BatchRecommend(self, request: pb.BatchRecommendRequest, context: Any) -> pb.BatchRecommendResponse:
        ids = wire.batch_ids(request, "customer_id")
        asked: list[pb.RecommendRequest] = list(request.requests) or [_same(request)]
        times = 1 if request.requests else len(ids)
        answers = self._predictor.predict(
            Call(
                use_case="recommender",
                entity_ids=ids,
                k=[_optional(item, "k") for item in asked] * times,
                recommend=[_options(item) for item in asked] * times,
                max_ages=wire.max_ages(request.requests),
            )
        )
        response = pb.BatchRecommendResponse(metadata=wire.batch_metadata(answers))
        lists = answers.outputs.get(ITEMS) or [None] * len(ids)  # none has one where each has an error
        for entity, error, items, codes in zip(ids, answers.errors, lists, answers.warnings, strict=True):
            result = response.results.add(customer_id=entity)
            if error:
                result.error.CopyFrom(wire.item_error(error))
                continue
            result.MergeFromString(items)
            if codes:
                result.warnings.extend(wire.warnings(codes))
        return response


def _optional(request: Any, name: str) -> Any:
    return getattr(request, name) if request.HasField(name) else None


def _same(request: pb.BatchRecommendRequest) -> pb.RecommendRequest:
    """The options that all of a batch's customer_ids have in common."""
    return pb.RecommendRequest(
        k=_optional(request, "k"),
        include_repeats=_optional(request, "include_repeats"),
        categories=request.categories,
        exclude_product_ids=request.exclude_product_ids,
    )


def _options(request: pb.RecommendRequest) -> RecommendOptions:
    given = request.ListFields()
    only_the_id = len(given) == 1 and request.customer_id
    if only_the_id or not any(field.name in ASKED for field, _ in given):
        return NOTHING_ASKED
    return RecommendOptions(
        include_repeats=_optional(request, "include_repeats"),
        categories=tuple(request.categories),
        exclude_product_ids=tuple(request.exclude_product_ids),
        recent_product_ids=tuple(request.recent_product_ids),
        country=request.country,
    )
