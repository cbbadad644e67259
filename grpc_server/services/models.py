"""The models that answer, on the wire."""

import json
from datetime import datetime
from typing import Any

from shopsphere.v1 import common_pb2, models_pb2_grpc
from shopsphere.v1 import models_pb2 as pb

from grpc_server.errors import no_champion, not_found
from grpc_server.live import WorkerReport, reports, taken
from grpc_server.services import wire
from grpc_server.state import Challenger, ServedModel, State, StateHolder
from training.use_cases import USE_CASES


class ModelsService(models_pb2_grpc.ModelsServiceServicer):
    """See the comments of models.proto."""

    def __init__(self, holder: StateHolder) -> None:
        self._holder = holder

    def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        state = self._holder.current
        workers = self._workers()
        return pb.ListModelsResponse(models=[_model(state, one, workers) for _, one in sorted(state.models.items())])

    def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        names = [use_case.name for use_case in USE_CASES]
        if request.name not in names:
            raise not_found("model", request.name, f"no model {request.name!r}: there are {', '.join(names)}")
        state = self._holder.current
        served = state.models.get(request.name)
        if served is None:
            raise no_champion(request.name)
        return pb.GetModelResponse(model=_model(state, served, self._workers()))

    def _workers(self) -> list[WorkerReport]:
        return reports(self._holder.serving) if self._holder.serving else []


def _model(state: State, served: ServedModel, workers: list[WorkerReport]) -> pb.Model:
    use_case = served.use_case
    challenger = state.challengers.get(use_case.name)
    origins = {True: pb.FEATURE_ORIGIN_REQUEST, False: pb.FEATURE_ORIGIN_LAKE}
    model = pb.Model(
        version=_version(use_case.name, served.version, served.alias),
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
        workers=len(workers),
        workers_serving=taken(workers, use_case.name, served.version).serving,
        challenger=_challenger(challenger, workers) if challenger else None,
        refused=[
            pb.RefusedVersion(version=_version(one.use_case, one.version, one.alias), reason=one.reason)
            for one in state.refused
            if one.use_case == use_case.name
        ],
    )
    model.trained_at.FromDatetime(datetime.fromisoformat(served.created_at))
    return model


def _challenger(challenger: Challenger, workers: list[WorkerReport]) -> pb.Challenger:
    served = challenger.served
    return pb.Challenger(
        version=_version(served.use_case.name, served.version, served.alias),
        kind=served.kind,
        mode=pb.TRIAL_MODE_CANARY if challenger.percent else pb.TRIAL_MODE_SHADOW,
        percent=challenger.percent,
        metrics=served.metrics,
        workers_serving=taken(workers, served.use_case.name, served.version, alias="challenger").serving,
    )


def _version(name: str, version: int, alias: str) -> common_pb2.ModelVersion:
    return common_pb2.ModelVersion(name=name, version=version, alias=alias)
