"""Campaign propensity on the wire."""

from typing import Any

from shopsphere.v1 import propensity_pb2 as pb
from shopsphere.v1 import propensity_pb2_grpc

from grpc_server.call import Answers, Call
from grpc_server.checks import check_batch_size
from grpc_server.predictor import Predictor
from grpc_server.services import wire


class PropensityService(propensity_pb2_grpc.PropensityServiceServicer):
    """See the comments of propensity.proto."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def ScorePropensity(  # noqa: N802, D102
        self, request: pb.ScorePropensityRequest, context: Any
    ) -> pb.ScorePropensityResponse:
        answers = self._predictor.predict(
            wire.call("propensity", request.customer_id, request, campaign_ids=(request.campaign_id,))
        )
        answers.check_first()
        response = pb.ScorePropensityResponse(
            customer_id=request.customer_id,
            prob_response=answers.outputs["prob_response"][0],
            campaign_id=answers.campaign_ids[0],
            contributions=wire.contributions(answers),
            base_value=wire.base_value(answers),
        )
        wire.trace(response.metadata, answers)
        return response

    def BatchScorePropensity(  # noqa: N802, D102
        self, request: pb.BatchScorePropensityRequest, context: Any
    ) -> pb.BatchScorePropensityResponse:
        wire.one_form(request.customer_ids, request.requests)
        ids = list(request.customer_ids) or [item.customer_id for item in request.requests]
        check_batch_size(len(ids))
        campaigns = [item.campaign_id for item in request.requests] or [request.campaign_id] * len(ids)
        rows = wire.given([item.features for item in request.requests])
        overrides = rows if request.requests else wire.packed(request.columns, len(ids))
        answers = self._predictor.predict(
            Call(use_case="propensity", entity_ids=ids, campaign_ids=campaigns, overrides=overrides)
        )
        results = [_result(answers, item, entity) for item, entity in enumerate(ids)]
        return pb.BatchScorePropensityResponse(results=results, metadata=wire.batch_metadata(answers))


def _result(answers: Answers, item: int, customer_id: str) -> pb.PropensityResult:
    error = answers.errors[item]
    if error is not None:
        return pb.PropensityResult(customer_id=customer_id, error=wire.item_error(error))
    return pb.PropensityResult(
        customer_id=customer_id,
        prob_response=answers.outputs["prob_response"][item],
        campaign_id=answers.campaign_ids[item],
    )
