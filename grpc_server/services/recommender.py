"""Product recommendations on the wire."""

from typing import Any

from shopsphere.v1 import recommender_pb2 as pb
from shopsphere.v1 import recommender_pb2_grpc

from grpc_server.checks import check_batch_size
from grpc_server.predictor import Answers, Call, Predictor
from grpc_server.services import wire


class RecommenderService(recommender_pb2_grpc.RecommenderServiceServicer):
    """See the comments of recommender.proto."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:  # noqa: N802, D102
        answers = self._predictor.predict(
            Call(
                use_case="recommender",
                entity_ids=[request.customer_id],
                k=[request.k if request.HasField("k") else None],
                explain=wire.explains(request),
                max_age_seconds=wire.max_age(request),
            )
        )
        answers.check_first()
        return pb.RecommendResponse(
            customer_id=request.customer_id, items=_items(answers, 0), metadata=wire.metadata(answers)
        )

    def BatchRecommend(self, request: pb.BatchRecommendRequest, context: Any) -> pb.BatchRecommendResponse:  # noqa: N802, D102
        wire.one_form(request.customer_ids, request.requests)
        ids = list(request.customer_ids) or [item.customer_id for item in request.requests]
        check_batch_size(len(ids))
        same = request.k if request.HasField("k") else None
        k = [item.k if item.HasField("k") else None for item in request.requests] or [same] * len(ids)
        answers = self._predictor.predict(Call(use_case="recommender", entity_ids=ids, k=k))
        results = [
            pb.RecommendResult(customer_id=entity, error=wire.item_error(error))
            if (error := answers.errors[item]) is not None
            else pb.RecommendResult(customer_id=entity, items=_items(answers, item))
            for item, entity in enumerate(ids)
        ]
        return pb.BatchRecommendResponse(results=results, metadata=wire.batch_metadata(answers))


def _items(answers: Answers, item: int) -> list[pb.RecommendedItem]:
    products, scores, reasons = (answers.outputs[name][item] for name in ("item_ids", "item_scores", "item_reasons"))
    supporting = answers.explanation.get("supporting_product_ids", [[]] * len(products))
    return [
        pb.RecommendedItem(
            product_id=str(product), score=score, reason=str(reason), supporting_product_ids=[str(one) for one in rests]
        )
        for product, score, reason, rests in zip(products, scores, reasons, supporting, strict=True)
    ]
