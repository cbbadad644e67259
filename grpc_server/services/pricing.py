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
        elasticity, low, high = _elasticity(answers, 0)
        response = pb.SuggestPriceResponse(
            product_id=request.product_id,
            price_suggested=answers.outputs["price_suggested"][0],
            reason=answers.outputs["price_reason"][0],
            explanation=_explanation(answers) if answers.explanation else None,
            elasticity=elasticity,
            elasticity_p5=low,
            elasticity_p95=high,
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
        results = [_result(answers, item, entity) for item, entity in enumerate(ids)]
        return pb.BatchSuggestPriceResponse(results=results, metadata=wire.batch_metadata(answers))


def _column(values: Sequence[float]) -> Array | None:
    """A packed bound; a NaN that was given becomes infinite, which no price may be."""
    column = np.array(values, dtype=np.float64)
    return np.where(np.isnan(column), np.inf, column) if len(values) else None


def _result(answers: Answers, item: int, product_id: str) -> pb.PriceResult:
    error = answers.errors[item]
    if error is not None:
        return pb.PriceResult(product_id=product_id, error=wire.item_error(error))
    elasticity, low, high = _elasticity(answers, item)
    return pb.PriceResult(
        product_id=product_id,
        price_suggested=answers.outputs["price_suggested"][item],
        reason=answers.outputs["price_reason"][item],
        elasticity=elasticity,
        elasticity_p5=low,
        elasticity_p95=high,
    )


def _elasticity(answers: Answers, item: int) -> list[float | None]:
    """The elasticity and the ends of its interval; None where it is not identified."""
    found = [answers.outputs[name][item] for name in ("elasticity", "elasticity_p5", "elasticity_p95")]
    return [None if math.isnan(value) else value for value in found]


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
