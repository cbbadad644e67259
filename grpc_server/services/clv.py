"""Customer lifetime value on the wire."""

from typing import Any

from shopsphere.v1 import clv_pb2 as pb
from shopsphere.v1 import clv_pb2_grpc

from grpc_server.call import Answers, Call
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
        results = [_result(answers, item, entity) for item, entity in enumerate(ids)]
        return pb.BatchPredictClvResponse(results=results, metadata=wire.batch_metadata(answers))


def _result(answers: Answers, item: int, customer_id: str) -> pb.ClvResult:
    error = answers.errors[item]
    if error is not None:
        return pb.ClvResult(customer_id=customer_id, error=wire.item_error(error))
    return pb.ClvResult(customer_id=customer_id, **{name: values[item] for name, values in answers.outputs.items()})
