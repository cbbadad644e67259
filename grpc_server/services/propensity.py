"""Campaign propensity on the wire."""

from typing import Any

from shopsphere.v1 import propensity_pb2 as pb
from shopsphere.v1 import propensity_pb2_grpc

from grpc_server.call import Call
from grpc_server.errors import UNKNOWN_CAMPAIGN
from grpc_server.predictor import Predictor
from grpc_server.services import wire


class PropensityService(propensity_pb2_grpc.PropensityServiceServicer):
    """See the comments of propensity.proto."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def ScorePropensity(self, request: pb.ScorePropensityRequest, context: Any) -> pb.ScorePropensityResponse:
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

    def BatchScorePropensity(
        self, request: pb.BatchScorePropensityRequest, context: Any
    ) -> pb.BatchScorePropensityResponse:
        ids = wire.batch_ids(request, "customer_id")
        campaigns = [item.campaign_id for item in request.requests] or [request.campaign_id] * len(ids)
        overrides, max_ages = wire.overrides(request), wire.max_ages(request.requests)
        answers = self._predictor.predict(
            Call(
                use_case="propensity",
                entity_ids=ids,
                campaign_ids=campaigns,
                overrides=overrides,
                max_ages=max_ages,
            )
        )
        for error in answers.errors if request.campaign_id else ():
            if error and error.reason == UNKNOWN_CAMPAIGN:
                raise error  # it is one campaign for all
        response = pb.BatchScorePropensityResponse(metadata=wire.batch_metadata(answers))
        columns = {"customer_id": ids, "campaign_id": answers.campaign_ids, **answers.outputs}
        wire.add_results(response.results, answers, columns)
        return response
