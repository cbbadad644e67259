"""A client for people and scripts: plain Python in, dictionaries with the proto's names out."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
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
    segmentation_pb2_grpc,
)

from lakehouse.errors import ShopSphereError

TIMEOUT_SECONDS = 30
BATCH = 1000


class ServerError(ShopSphereError):
    """The server refused a call, or nothing listens there."""


class Client:
    """Calls a running server; a context manager that closes its channel."""

    def __init__(self, address: str = "127.0.0.1:50051") -> None:
        self.address = address
        self._channel = grpc.insecure_channel(address)
        self._clv = clv_pb2_grpc.ClvServiceStub(self._channel)
        self._propensity = propensity_pb2_grpc.PropensityServiceStub(self._channel)
        self._segmentation = segmentation_pb2_grpc.SegmentationServiceStub(self._channel)
        self._recommender = recommender_pb2_grpc.RecommenderServiceStub(self._channel)
        self._pricing = pricing_pb2_grpc.PricingServiceStub(self._channel)
        self._models = models_pb2_grpc.ModelsServiceStub(self._channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def clv(self, customer_id: str, *, full: bool = False, **features: float) -> dict[str, Any]:
        """What a customer will spend in the next 180 days."""
        given = _features(clv_pb2.ClvFeatures, features)
        request = clv_pb2.PredictClvRequest(customer_id=customer_id, features=given, view=_view(full))
        return self._call(self._clv.PredictClv, request)

    def propensity(
        self, customer_id: str, *, campaign_id: str = "", full: bool = False, **features: float
    ) -> dict[str, Any]:
        """How likely a customer responds to a campaign."""
        given = _features(propensity_pb2.PropensityFeatures, features)
        request = propensity_pb2.ScorePropensityRequest(
            customer_id=customer_id, campaign_id=campaign_id, features=given, view=_view(full)
        )
        return self._call(self._propensity.ScorePropensity, request)

    def segment(self, customer_id: str, *, full: bool = False, **features: float) -> dict[str, Any]:
        """The segment of a customer."""
        given = _features(segmentation_pb2.SegmentationFeatures, features)
        request = segmentation_pb2.AssignSegmentRequest(customer_id=customer_id, features=given, view=_view(full))
        return self._call(self._segmentation.AssignSegment, request)

    def recommend(
        self, customer_id: str, *, k: int | None = None, full: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Products for a customer; `options` are further fields of the request, for example `include_repeats`."""
        request = recommender_pb2.RecommendRequest(customer_id=customer_id, k=k, view=_view(full), **options)
        return self._call(self._recommender.Recommend, request)

    def price(
        self,
        product_id: str,
        *,
        min_price: float | None = None,
        max_price: float | None = None,
        unit_cost: float | None = None,
        full: bool = False,
        **features: float,
    ) -> dict[str, Any]:
        """A price for a product."""
        request = pricing_pb2.SuggestPriceRequest(
            product_id=product_id,
            features=_features(pricing_pb2.PricingFeatures, features),
            min_price=min_price,
            max_price=max_price,
            unit_cost=unit_cost,
            view=_view(full),
        )
        return self._call(self._pricing.SuggestPrice, request)

    def models(self) -> list[dict[str, Any]]:
        """The models that answer."""
        found: list[dict[str, Any]] = self._call(self._models.ListModels, models_pb2.ListModelsRequest()).get(
            "models", []
        )
        return found

    def batch(self, use_case: str, ids: Sequence[str], *, campaign_id: str = "") -> list[dict[str, Any]]:
        """The results for many ids, in order, in batches of 1,000; a result with `error` has no answer."""
        results: list[dict[str, Any]] = []
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            calls: dict[str, tuple[Any, Any]] = {
                "clv": (self._clv.BatchPredictClv, clv_pb2.BatchPredictClvRequest(customer_ids=part)),
                "propensity": (
                    self._propensity.BatchScorePropensity,
                    propensity_pb2.BatchScorePropensityRequest(customer_ids=part, campaign_id=campaign_id),
                ),
                "segmentation": (
                    self._segmentation.BatchAssignSegment,
                    segmentation_pb2.BatchAssignSegmentRequest(customer_ids=part),
                ),
                "recommender": (
                    self._recommender.BatchRecommend,
                    recommender_pb2.BatchRecommendRequest(customer_ids=part),
                ),
                "pricing": (
                    self._pricing.BatchSuggestPrice,
                    pricing_pb2.BatchSuggestPriceRequest(product_ids=part),
                ),
            }
            call, request = calls[use_case]
            results += self._call(call, request)["results"]
        return results

    def _call(self, method: Callable[..., Any], request: Any) -> dict[str, Any]:
        try:
            answer = method(request, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            raise ServerError(self._sentence(error)) from None
        return MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)

    def _sentence(self, error: Any) -> str:
        if error.code() is grpc.StatusCode.UNAVAILABLE and "connect" in error.details():
            return f"nothing answers at {self.address}: start it with `shopsphere serve`, or give another --address"
        return f"{error.code().name}: {error.details()}"


def _view(full: bool) -> common_pb2.View.ValueType:
    return common_pb2.VIEW_FULL if full else common_pb2.VIEW_BASIC


def _features(message: Any, given: dict[str, float]) -> Any:
    fields = message.DESCRIPTOR.fields_by_name
    unknown = [name for name in given if name not in fields]
    if unknown:
        raise ServerError(f"unknown feature {', '.join(map(repr, unknown))}: there are {', '.join(fields)}")
    whole = {name for name, field in fields.items() if field.cpp_type == field.CPPTYPE_INT32}
    return message(**{name: int(value) if name in whole else value for name, value in given.items()})
