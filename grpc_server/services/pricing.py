"""Price suggestions on the wire."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from shopsphere.v1 import pricing_pb2 as pb
from shopsphere.v1 import pricing_pb2_grpc

from grpc_server.call import Answers, Array, Call
from grpc_server.predictor import Predictor
from grpc_server.services import wire

INTERVAL = ("elasticity", "elasticity_p5", "elasticity_p95")
BOUNDS = ("min_price", "max_price", "unit_cost")


class PricingService(pricing_pb2_grpc.PricingServiceServicer):
    """See the comments of pricing.proto."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def SuggestPrice(self, request: pb.SuggestPriceRequest, context: Any) -> pb.SuggestPriceResponse:
        given: Any = request
        bounds: dict[str, Any] = {name: wire.optional([given], name) for name in BOUNDS if given.HasField(name)}
        answers = self._predictor.predict(wire.call("pricing", request.product_id, request, **bounds))
        answers.check_first()
        response = pb.SuggestPriceResponse(
            product_id=request.product_id,
            explanation=_explanation(answers) if answers.explanation else None,
            **{name: values[0] for name, values in _columns(answers).items()},
        )
        wire.trace(response.metadata, answers)
        return response

    def BatchSuggestPrice(self, request: pb.BatchSuggestPriceRequest, context: Any) -> pb.BatchSuggestPriceResponse:
        ids = wire.batch_ids(request, "product_id", per_item=BOUNDS)
        bounds: dict[str, Any] = {
            name: wire.optional(request.requests, name) if request.requests else _column(getattr(request, name))
            for name in BOUNDS
        }
        overrides, max_ages = wire.overrides(request), wire.max_ages(request.requests)
        answers = self._predictor.predict(
            Call(use_case="pricing", entity_ids=ids, overrides=overrides, max_ages=max_ages, **bounds)
        )
        response = pb.BatchSuggestPriceResponse(metadata=wire.batch_metadata(answers))
        wire.add_results(response.results, answers, {"product_id": ids, **_columns(answers)})
        return response


def _column(values: Sequence[float]) -> Array | None:
    """A packed bound; a NaN that was given becomes infinite, which no price may be."""
    column = np.array(values, dtype=np.float64)
    return np.where(np.isnan(column), np.inf, column) if len(values) else None


def _columns(answers: Answers) -> dict[str, Sequence[Any]]:
    """The fields of the answers, one entry per item; elasticity and its interval None where it is not identified."""
    outputs = answers.outputs
    if not outputs:  # no item could be answered
        return {}
    found: dict[str, Sequence[Any]] = {"price_suggested": outputs["price_suggested"], "reason": outputs["price_reason"]}
    for name in INTERVAL:
        found[name] = [None if value is None or math.isnan(value) else value for value in outputs[name]]
    return found


def _explanation(answers: Answers) -> pb.PriceExplanation:
    values = {name: answers.outputs[name][0] for name in ("current_price", "unbounded_price", "elasticity")}
    guardrails = answers.outputs["binding_guardrails"][0]
    return pb.PriceExplanation(
        current_price=values["current_price"],
        elasticity=None if math.isnan(values["elasticity"]) else values["elasticity"],
        unbounded_price=values["unbounded_price"],
        binding_guardrails=guardrails.split(",") if guardrails else [],
        curve=[pb.PricePoint(**point) for point in answers.explanation.get("curve", [])],
    )
