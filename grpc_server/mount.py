"""Mounts services on a server, each call counted, timed and its errors made statuses; no exception text ever leaves."""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from grpc_server.errors import CallError, internal, to_status, unreadable
from grpc_server.metrics import Metrics

logger = logging.getLogger(__name__)
SLOW = "Batch"
"""How the names of calls begin that may take long."""


class Mount:
    """Stands for a server where generated code adds a service, and adds its calls to the real one.

    Unary calls that are not `SLOW` are marked `quick`, see `grpc_server.poll_thread`.
    """

    def __init__(self, server: grpc.Server, metrics: Metrics) -> None:
        self._server = server
        self._metrics = metrics

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        """Nothing: the same calls are added by their names, which costs less to find."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add the unary calls of a service."""
        wrapped = {name: self._wrapped(f"/{service}/{name}", name, handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, wrapped)

    def _wrapped(self, method: str, name: str, handler: Any) -> Any:
        behaviour, decode = handler.unary_unary, handler.request_deserializer

        def decoded(request: bytes, context: grpc.ServicerContext) -> Any:
            try:
                message = decode(request)
            except DecodeError:
                raise unreadable() from None
            return behaviour(message, context)

        def answer(request: bytes, context: grpc.ServicerContext) -> Any:
            return self._answer(decoded, method, request, context)

        answer.quick = not name.startswith(SLOW)  # type: ignore[attr-defined]
        # Bytes come in as they are: grpcio calls what it cannot decode a fault of the server.
        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)

    def _answer(self, behaviour: Callable[..., Any], method: str, request: bytes, context: grpc.ServicerContext) -> Any:
        started = time.perf_counter()
        self._metrics.in_flight.inc()
        error: CallError | None = None
        response: Any = None
        try:
            response = behaviour(request, context)
        except CallError as refused:
            error = refused
        except Exception:
            error_id = uuid.uuid4().hex
            logger.exception("internal error %s in %s", error_id, method)
            error = internal(error_id)
        self._metrics.in_flight.dec()
        metadata = getattr(response, "metadata", None)
        self._metrics.observe(
            method,
            code=error.code if error else "OK",
            version=metadata.model.version if metadata else 0,
            transport="grpc",
            seconds=time.perf_counter() - started,
        )
        if error:
            context.abort_with_status(rpc_status.to_status(to_status(error)))
        return response
