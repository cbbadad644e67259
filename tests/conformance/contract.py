"""The wire as the suite sees it: which RPCs there are, how to ask them, and what a refusal says."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from shopsphere.v1 import clv_pb2, models_pb2, pricing_pb2, propensity_pb2, recommender_pb2, segmentation_pb2

DOMAIN = "shopsphere"
SECONDS = 30
DETAILS = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.ResourceInfo,
    error_details_pb2.RetryInfo,
)


class Method:
    """One unary method of a service: call it with a channel and the fields of its request."""

    def __init__(self, module: Any, service: str, name: str) -> None:
        found = module.DESCRIPTOR.services_by_name[service].methods_by_name[name]
        self.name = name
        self.path = f"/{found.containing_service.full_name}/{name}"
        self.request: Any = message_factory.GetMessageClass(found.input_type)
        self.response: Any = message_factory.GetMessageClass(found.output_type)

    def on(self, channel: grpc.Channel) -> Any:
        """The method as gRPC's callable: takes a request, metadata, timeout, compression."""
        return channel.unary_unary(
            self.path, request_serializer=self.request.SerializeToString, response_deserializer=self.response.FromString
        )

    def bytes_on(self, channel: grpc.Channel) -> Any:
        """The same, from and to bytes as they are."""
        return channel.unary_unary(self.path)

    def __call__(self, channel: grpc.Channel, **fields: Any) -> Any:
        """The answer to a request with these fields."""
        return self.on(channel)(self.request(**fields), timeout=SECONDS)


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """A prediction service: its unary and batch method, the name of its ids and of its main result."""

    use_case: str
    unary: Method
    batch: Method
    key: str
    result: str

    @property
    def keys(self) -> str:
        """The name of the ids in a batch."""
        return f"{self.key}s"

    def features(self) -> dict[str, Any]:
        """The fields of its feature message, by name; empty for the recommender."""
        found = self.unary.request.DESCRIPTOR.fields_by_name.get("features")
        return dict(found.message_type.fields_by_name) if found else {}


def _rpc(module: Any, path: str, *, use_case: str, key: str = "customer_id", result: str) -> Rpc:
    service, _, method = path.partition("/")
    unary, batch = Method(module, service, method), Method(module, service, f"Batch{method}")
    return Rpc(use_case=use_case, unary=unary, batch=batch, key=key, result=result)


RPCS = (
    _rpc(clv_pb2, "ClvService/PredictClv", use_case="clv", result="clv_180d"),
    _rpc(propensity_pb2, "PropensityService/ScorePropensity", use_case="propensity", result="prob_response"),
    _rpc(recommender_pb2, "RecommenderService/Recommend", use_case="recommender", result="items"),
    _rpc(segmentation_pb2, "SegmentationService/AssignSegment", use_case="segmentation", result="cluster_id"),
    _rpc(pricing_pb2, "PricingService/SuggestPrice", use_case="pricing", key="product_id", result="price_suggested"),
)
CLV, PROPENSITY, RECOMMENDER, SEGMENTATION, PRICING = RPCS
WITH_FEATURES = tuple(rpc for rpc in RPCS if rpc.features())
LIST_MODELS = Method(models_pb2, "ModelsService", "ListModels")
GET_MODEL = Method(models_pb2, "ModelsService", "GetModel")
METHODS = (*(rpc.unary for rpc in RPCS), *(rpc.batch for rpc in RPCS), LIST_MODELS, GET_MODEL)
SERVICES = tuple(sorted({method.path.split("/")[1] for method in METHODS}))

every_rpc = pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.use_case)
every_rpc_with_features = pytest.mark.parametrize("rpc", WITH_FEATURES, ids=lambda rpc: rpc.use_case)
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@dataclass(frozen=True)
class Refusal:
    """What a failed call said: canonical code, sentence, and the contents of its google.rpc details."""

    code: str
    message: str
    reason: str
    fields: list[str]
    resource: tuple[str, str] | None


def refusal(call: Any, *given: Any, **named: Any) -> Refusal:
    """How a call is refused, by us and not by the transport.

    Status and message agree with the details, all of these can be decoded, and one is an ErrorInfo of ours.
    """
    with pytest.raises(grpc.RpcError) as caught:
        call(*given, **named)
    error: Any = caught.value
    status = rpc_status.from_call(error)
    assert status is not None, f"{error.code().name} without details: {error.details()}"
    found = {kind: kind() for kind in DETAILS}
    for packed in status.details:
        assert packed.Unpack(next(detail for kind, detail in found.items() if packed.Is(kind.DESCRIPTOR)))
    info, bad, resource = (found[kind] for kind in DETAILS[:3])
    assert (info.domain, bool(info.reason)) == (DOMAIN, True)
    assert all(violation.description for violation in bad.field_violations)
    return Refusal(
        code=error.code().name,
        message=error.details(),
        reason=info.reason,
        fields=[violation.field for violation in bad.field_violations],
        resource=(resource.resource_type, resource.resource_name) if resource.resource_type else None,
    )


def code_of(call: Any, *given: Any, **named: Any) -> str:
    """The canonical code that a call ends with; never a text that only an exception could have."""
    try:
        call(*given, **{"timeout": SECONDS, **named})
    except grpc.RpcError as error:
        told: Any = error
        assert not any(word in told.details() for word in ("Traceback", "Exception", "Error:")), told.details()
        return str(told.code().name)
    return "OK"


def wait_until(reached: Callable[[], bool]) -> None:
    """Return when something has happened, which must be soon."""
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while not reached():
        assert time.monotonic() < deadline, f"it did not happen within {SECONDS} s"
        pause.wait(0.05)


def told(answer: Any) -> dict[str, Any]:
    """What an answer, or a result of a batch, says: its fields, and of its metadata the warnings' codes."""
    fields = {descriptor.name: value for descriptor, value in answer.ListFields()}
    metadata = fields.pop("metadata", None)
    warnings = metadata.warnings if metadata else fields.get("warnings", [])
    return fields | {"warnings": [one.code for one in warnings], "items": list(fields.get("items", []))}


def same(left: Any, right: Any) -> bool:
    """Whether two values of a field agree: numbers to the last bits of 32-bit floats, lists in order.

    An answer may be precomputed or computed for the call, alone or among others.
    """
    if isinstance(left, float):
        return bool(left == pytest.approx(right, rel=1e-5))
    if isinstance(left, Sequence) and not isinstance(left, str):
        products = [[item.product_id for item in items] for items in (left, right)]
        return products[0] == products[1] and all(same(a.score, b.score) for a, b in zip(left, right, strict=True))
    return bool(left == right)
