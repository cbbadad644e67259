"""A client for people and scripts: plain Python in, dictionaries with the proto's names out."""

from collections.abc import Callable, Sequence
from reprlib import repr as shortened
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
STATUS = "grpc-status-details-bin"
"""The trailer that refusals of our server have, and failures of the transport have not."""


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
        request = _message(clv_pb2.PredictClvRequest, customer_id=customer_id, features=given, view=_view(full))
        return self._call(self._clv.PredictClv, request)

    def propensity(
        self, customer_id: str, *, campaign_id: str = "", full: bool = False, **features: float
    ) -> dict[str, Any]:
        """How likely a customer responds to a campaign."""
        given = _features(propensity_pb2.PropensityFeatures, features)
        asked = {"customer_id": customer_id, "campaign_id": campaign_id, "features": given, "view": _view(full)}
        request = _message(propensity_pb2.ScorePropensityRequest, **asked)
        return self._call(self._propensity.ScorePropensity, request)

    def segment(self, customer_id: str, *, full: bool = False, **features: float) -> dict[str, Any]:
        """The segment of a customer."""
        given = _features(segmentation_pb2.SegmentationFeatures, features)
        asked = {"customer_id": customer_id, "features": given, "view": _view(full)}
        request = _message(segmentation_pb2.AssignSegmentRequest, **asked)
        return self._call(self._segmentation.AssignSegment, request)

    def recommend(
        self, customer_id: str, *, k: int | None = None, full: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Products for a customer; `options` are further fields of the request, for example `include_repeats`."""
        asked = {"customer_id": customer_id, "k": k, "view": _view(full), **options}
        request = _message(recommender_pb2.RecommendRequest, **asked)
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
        request = _message(
            pricing_pb2.SuggestPriceRequest,
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
        calls: dict[str, tuple[Any, Any]] = {
            "clv": (self._clv.BatchPredictClv, clv_pb2.BatchPredictClvRequest),
            "propensity": (self._propensity.BatchScorePropensity, propensity_pb2.BatchScorePropensityRequest),
            "segmentation": (self._segmentation.BatchAssignSegment, segmentation_pb2.BatchAssignSegmentRequest),
            "recommender": (self._recommender.BatchRecommend, recommender_pb2.BatchRecommendRequest),
            "pricing": (self._pricing.BatchSuggestPrice, pricing_pb2.BatchSuggestPriceRequest),
        }
        if use_case not in calls:
            raise ServerError(f"no use case {use_case!r}: choose one of {', '.join(calls)}")
        call, request = calls[use_case]
        key = "product_ids" if use_case == "pricing" else "customer_ids"
        beside = {"campaign_id": campaign_id} if use_case == "propensity" else {}
        results: list[dict[str, Any]] = []
        for start in range(0, len(ids), BATCH):
            results += self._call(call, _message(request, **{key: ids[start : start + BATCH]}, **beside))["results"]
        return results

    def _call(self, method: Callable[..., Any], request: Any) -> dict[str, Any]:
        try:
            answer = method(request, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            raise ServerError(self._sentence(error)) from None
        return MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)

    def _sentence(self, error: Any) -> str:
        ours = any(name == STATUS for name, _ in error.trailing_metadata() or ())
        if not ours and error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN):
            return f"nothing answers at {self.address!r}: start it with `shopsphere serve`, or give another --address"
        return f"{error.code().name}: {error.details()}"


def _view(full: bool) -> common_pb2.View.ValueType:
    return common_pb2.VIEW_FULL if full else common_pb2.VIEW_BASIC


def _features(kind: Any, given: dict[str, float]) -> Any:
    """The feature message; counts may be floats, as the command line has them, but whole ones."""
    return _message(kind, **{name: int(value) if _is_whole(value) else value for name, value in given.items()})


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _message(kind: Any, **given: Any) -> Any:
    """A message with these fields.

    Raises:
        ServerError: there is no such field, or it cannot hold the value; all of them are named.
    """
    fields = kind.DESCRIPTOR.fields_by_name
    wrong = [f"there is no {name!r}: there are {', '.join(fields)}" for name in given if name not in fields]
    wrong += [f"{name} cannot be {shortened(given[name])}" for name in fields if not _fits(kind, name, given.get(name))]
    if wrong:
        raise ServerError("; ".join(wrong))
    return kind(**given)


def _fits(kind: Any, name: str, value: Any) -> bool:
    if kind.DESCRIPTOR.fields_by_name[name].is_repeated and isinstance(value, str):
        return False  # protobuf would take its letters
    try:
        kind(**{name: value})
    except (TypeError, ValueError):
        return False
    return True
