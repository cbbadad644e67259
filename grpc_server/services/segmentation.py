"""Customer segments on the wire."""

from typing import Any

from shopsphere.v1 import segmentation_pb2 as pb
from shopsphere.v1 import segmentation_pb2_grpc

from grpc_server.call import Answers, Call
from grpc_server.predictor import Predictor
from grpc_server.services import wire


class SegmentationService(segmentation_pb2_grpc.SegmentationServiceServicer):
    """See the comments of segmentation.proto."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def AssignSegment(self, request: pb.AssignSegmentRequest, context: Any) -> pb.AssignSegmentResponse:
        answers = self._predictor.predict(wire.call("segmentation", request.customer_id, request))
        answers.check_first()
        response = pb.AssignSegmentResponse(
            customer_id=request.customer_id,
            cluster_id=answers.outputs["cluster_id"][0],
            segment_name=answers.outputs["segment_name"][0],
            profile=_profile(answers),
            distances=[pb.SegmentDistance(**entry) for entry in answers.explanation.get("distances", [])],
        )
        wire.trace(response.metadata, answers)
        return response

    def BatchAssignSegment(self, request: pb.BatchAssignSegmentRequest, context: Any) -> pb.BatchAssignSegmentResponse:
        ids = wire.batch_ids(request, "customer_id")
        overrides, max_ages = wire.overrides(request), wire.max_ages(request.requests)
        answers = self._predictor.predict(
            Call(use_case="segmentation", entity_ids=ids, overrides=overrides, max_ages=max_ages)
        )
        response = pb.BatchAssignSegmentResponse(metadata=wire.batch_metadata(answers))
        wire.add_results(response.results, answers, {"customer_id": ids, **answers.outputs})
        return response


def _profile(answers: Answers) -> pb.SegmentProfile | None:
    found = answers.explanation.get("profile")
    return pb.SegmentProfile(**found) if found else None
