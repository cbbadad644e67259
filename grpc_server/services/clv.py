"""Customer lifetime value on the wire."""

from typing import Any

from shopsphere.v1 import clv_pb2 as pb
from shopsphere.v1 import clv_pb2_grpc

from grpc_server.call import Call
from grpc_server.predictor import Predictor
from grpc_server.services import wire


class ClvService(clv_pb2_grpc.ClvServiceServicer):
    """See the comments of clv.proto."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def PredictClv(self, request: pb.PredictClvRequest, context: Any) -> pb.PredictClvResponse:
        answers = self._predictor.predict(wire.call("clv", request.customer_id, request))
        answers.check_first()
        response = pb.PredictClvResponse(
            customer_id=request.customer_id,
            contributions=wire.contributions(answers),
            base_value=wire.base_value(answers),
            **{name: values[0] for name, values in answers.outputs.items()},
        )
        wire.trace(response.metadata, answers)
        return response

    def BatchPredictClv(self, request: pb.BatchPredictClvRequest, context: Any) -> pb.BatchPredictClvResponse:
        ids = wire.batch_ids(request, "customer_id")
        overrides, max_ages = wire.overrides(request), wire.max_ages(request.requests)
        answers = self._predictor.predict(Call(use_case="clv", entity_ids=ids, overrides=overrides, max_ages=max_ages))
        response = pb.BatchPredictClvResponse(metadata=wire.batch_metadata(answers))
        wire.add_results(response.results, answers, {"customer_id": ids, **answers.outputs})
        return response
