"""The five unary calls that benches make, and ids to make them about."""

from pathlib import Path

import numpy as np
from shopsphere.v1 import clv_pb2, pricing_pb2, propensity_pb2, recommender_pb2, segmentation_pb2

from grpc_server.champions import read_pointer
from grpc_server.online_features import FeatureSnapshot

IDS = 20
RPCS = {
    "PredictClv": ("ClvService", clv_pb2.PredictClvRequest),
    "ScorePropensity": ("PropensityService", propensity_pb2.ScorePropensityRequest),
    "AssignSegment": ("SegmentationService", segmentation_pb2.AssignSegmentRequest),
    "Recommend": ("RecommenderService", recommender_pb2.RecommendRequest),
    "SuggestPrice": ("PricingService", pricing_pb2.SuggestPriceRequest),
}
"""By method: its service and request."""


def some_ids(serving: Path, table: str) -> list[str]:
    """Ids of a table that a server serves, from all over it."""
    return ids_of(serving, table, IDS)


def ids_of(serving: Path, table: str, count: int) -> list[str]:
    """So many of them; some come again where there are fewer."""
    snapshot = snapshot_of(serving, table)
    ids = snapshot.arrays()[snapshot.key]
    return [str(ids[place]) for place in np.linspace(0, len(ids) - 1, count).astype(int)]


def snapshot_of(serving: Path, table: str) -> FeatureSnapshot:
    """What a server serves of a table."""
    pointer = read_pointer(serving)
    assert pointer
    return FeatureSnapshot(serving / pointer["features"][table])
