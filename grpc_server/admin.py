"""The admin port: trials set and ended over gRPC, in the follower, which is the process that knows the registry."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from shopsphere.v1 import common_pb2, models_admin_pb2_grpc, models_pb2
from shopsphere.v1 import models_admin_pb2 as pb

from grpc_server.errors import CallError, Violation, invalid, not_found, to_status
from grpc_server.live import follow
from grpc_server.settings import ServerSettings
from lakehouse.errors import ConfigurationError, ShopSphereError
from training import trial
from training.artifact import ArtifactError
from training.promotions import PromotionReport
from training.trial import TrialError
from training.use_cases import UnknownUseCaseError

SERVICE = "shopsphere.v1.ModelsAdminService"
BY = "the admin port"


class ModelsAdminService(models_admin_pb2_grpc.ModelsAdminServiceServicer):
    """See the comments of models_admin.proto."""

    def __init__(self, settings: ServerSettings, *, name: str) -> None:
        self._settings, self._serving = settings, settings.serving_dir(name)

    def SetChallenger(self, request: pb.SetChallengerRequest, context: Any) -> pb.SetChallengerResponse:
        name, version, percent = request.name, request.version, request.percent

        def start() -> PromotionReport:
            if not 0 <= percent <= trial.MOST:
                raise invalid([Violation("percent", f"must be 0 to {trial.MOST}, not {percent}")])
            return trial.start(name, version, percent=percent, settings=self._settings, decided_by=BY)

        report = _tried(name, start, context)
        return pb.SetChallengerResponse(
            challenger=_challenger(report),
            mode=models_pb2.TRIAL_MODE_CANARY if percent else models_pb2.TRIAL_MODE_SHADOW,
            workers=self._followed(name, version, percent),
        )

    def EndTrial(self, request: pb.EndTrialRequest, context: Any) -> pb.EndTrialResponse:
        name = request.name
        report = _tried(name, lambda: trial.stop(name, settings=self._settings, decided_by=BY), context)
        return pb.EndTrialResponse(challenger=_challenger(report), workers=self._followed(name, None, None))

    def _followed(self, name: str, version: int | None, percent: int | None) -> pb.WorkersFollowed | None:
        found = follow(self._serving, name, version, alias="challenger", percent=percent)
        if found is None:
            return None
        return pb.WorkersFollowed(
            workers=found.workers, following=found.serving, reasons=found.reasons, seconds=found.seconds
        )


def admin_server(settings: ServerSettings, *, name: str) -> grpc.Server:
    """A started server on the admin port of this machine, reachable from nowhere else.

    Raises:
        ConfigurationError: something else listens there.
    """
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    models_admin_pb2_grpc.add_ModelsAdminServiceServicer_to_server(ModelsAdminService(settings, name=name), server)
    reflection.enable_server_reflection([SERVICE, reflection.SERVICE_NAME], server)
    try:
        server.add_insecure_port(f"127.0.0.1:{settings.admin_port}")
    except RuntimeError as error:
        raise ConfigurationError(
            f"cannot listen on 127.0.0.1:{settings.admin_port}: stop what listens there, or set SHOPSPHERE_ADMIN_PORT"
        ) from error
    server.start()
    return server


def _tried(name: str, decide: Callable[[], PromotionReport], context: grpc.ServicerContext) -> PromotionReport:
    try:
        return decide()
    except CallError as error:
        failed = error
    except UnknownUseCaseError as error:
        failed = not_found("model", name, str(error))
    except (TrialError, ArtifactError) as error:
        failed = CallError("FAILED_PRECONDITION", "NO_TRIAL", str(error))
    except ShopSphereError as error:
        failed = CallError("UNAVAILABLE", "REGISTRY_UNAVAILABLE", str(error), retry_seconds=1)
    context.abort_with_status(rpc_status.to_status(to_status(failed)))
    raise failed  # abort_with_status has raised already


def _challenger(report: PromotionReport) -> common_pb2.ModelVersion:
    return common_pb2.ModelVersion(name=report.use_case, version=report.candidate, alias="challenger")
