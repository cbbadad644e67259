"""The models that answer, on the wire."""

import json
from datetime import datetime
from typing import Any

from shopsphere.v1 import common_pb2, models_pb2_grpc
from shopsphere.v1 import models_pb2 as pb

from grpc_server.errors import no_champion, not_found
from grpc_server.services import wire
from grpc_server.state import ServedModel, State, StateHolder
from training.use_cases import USE_CASES


class ModelsService(models_pb2_grpc.ModelsServiceServicer):
    """See the comments of models.proto."""

    def __init__(self, holder: StateHolder) -> None:
        self._holder = holder

    def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:  # noqa: N802, D102
        state = self._holder.current
        return pb.ListModelsResponse(models=[_model(state, served) for _, served in sorted(state.models.items())])

    def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:  # noqa: N802, D102
        names = [use_case.name for use_case in USE_CASES]
        if request.name not in names:
            raise not_found("model", request.name, f"no model {request.name!r}: there are {', '.join(names)}")
        state = self._holder.current
        served = state.models.get(request.name)
        if served is None:
            raise no_champion(request.name)
        return pb.GetModelResponse(model=_model(state, served))


def _model(state: State, served: ServedModel) -> pb.Model:
    use_case = served.use_case
    origins = {True: pb.FEATURE_ORIGIN_REQUEST, False: pb.FEATURE_ORIGIN_LAKE}
    model = pb.Model(
        version=common_pb2.ModelVersion(name=use_case.name, version=served.version, alias=served.alias),
        kind=served.kind,
        data=wire.data_version(state.features.get(use_case.feature_table)),
        features=[
            pb.ModelFeature(
                name=feature.name,
                origin=origins[feature.override],
                default_value=served.model.defaults.get(feature.name),
            )
            for feature in use_case.features
        ],
        training_data_versions=json.loads(served.tags.get("data_versions", "{}")),
        metrics=served.metrics,
    )
    model.trained_at.FromDatetime(datetime.fromisoformat(served.created_at))
    return model
