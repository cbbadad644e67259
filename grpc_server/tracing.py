"""What a worker is made of: plain parts, or ones that send OpenTelemetry spans where an address for them is set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grpc_server.metrics import Metrics
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.settings import ServerSettings


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Plain parts: without spans nothing is wrapped, and a call costs what it cost before.

    behaviour: around a gRPC method, given with its full name; app: around the REST application.
    """

    metrics: type[Metrics] = Metrics
    log: type[PredictionLog] = PredictionLog
    predictor: type[Predictor] = Predictor
    behaviour: Callable[[Any, str], Any] = lambda behaviour, _: behaviour
    app: Callable[[Any], Any] = lambda app: app


def worker_parts(settings: ServerSettings) -> Parts:
    """Traced where an address is set."""
    if not settings.tracing_endpoint:
        return Parts()
    settings.check_tracing()
    from grpc_server.spans import exported, traced_parts

    return traced_parts(exported())
