"""The services: messages in, the core's call, messages out; they know the generated interfaces and no transport."""

from typing import Any

from shopsphere.v1 import (
    clv_pb2_grpc,
    models_pb2_grpc,
    pricing_pb2_grpc,
    propensity_pb2_grpc,
    recommender_pb2_grpc,
    segmentation_pb2_grpc,
)

from grpc_server.predictor import Predictor
from grpc_server.services.clv import ClvService
from grpc_server.services.models import ModelsService
from grpc_server.services.pricing import PricingService
from grpc_server.services.propensity import PropensityService
from grpc_server.services.recommender import RecommenderService
from grpc_server.services.segmentation import SegmentationService
from grpc_server.state import StateHolder

SERVICES: dict[str, str | None] = {
    "shopsphere.v1.ClvService": "clv",
    "shopsphere.v1.PropensityService": "propensity",
    "shopsphere.v1.RecommenderService": "recommender",
    "shopsphere.v1.SegmentationService": "segmentation",
    "shopsphere.v1.PricingService": "pricing",
    "shopsphere.v1.ModelsService": None,
}
"""Each service and the use case whose champion it needs; None where any will do."""


def add_services(server: Any, predictor: Predictor, holder: StateHolder) -> None:
    """Mount all services on a server."""
    clv_pb2_grpc.add_ClvServiceServicer_to_server(ClvService(predictor), server)
    propensity_pb2_grpc.add_PropensityServiceServicer_to_server(PropensityService(predictor), server)
    recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(RecommenderService(predictor), server)
    segmentation_pb2_grpc.add_SegmentationServiceServicer_to_server(SegmentationService(predictor), server)
    pricing_pb2_grpc.add_PricingServiceServicer_to_server(PricingService(predictor), server)
    models_pb2_grpc.add_ModelsServiceServicer_to_server(ModelsService(holder), server)
