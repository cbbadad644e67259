"""Mounts services on a server, each call counted, timed and its errors made statuses; no exception text ever leaves."""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from grpc_server.errors import CallError, internal, to_status, unreadable
from grpc_server.metrics import Metrics

logger = logging.getLogger(__name__)
Behaviour = Callable[[bytes, Any], Any]
SLOW = ("Batch", "List", "Get")
"""How the names of calls begin that may take long."""
PACKAGE = "shopsphere."
"""How the names of our own services begin, whose calls are counted."""
STREAMS = 200
"""Open streams have a thread each, which mostly sleeps, and none of those that answer calls."""


class Mount:
    """Stands for a server where generated code adds a service, and adds its calls to the real one.

    Unary calls that are not `SLOW` are marked `quick`, see `grpc_server.poll_thread`.
    """

    def __init__(
        self,
        server: grpc.Server,
        metrics: Metrics,
        around: Callable[[Behaviour, str], Behaviour] = lambda given, _: given,
    ) -> None:
        """`around` may wrap each unary call, which it is given with its full name."""
        self._server, self._around = server, around
        self._metrics = metrics
        self._streams = ThreadPoolExecutor(STREAMS, thread_name_prefix="stream")

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        """Nothing: the same calls are added by their names, which costs less to find."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add the calls of a service."""
        wrapped = {name: self._wrapped(service, name, handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, wrapped)

    def _wrapped(self, service: str, name: str, handler: Any) -> Any:
        if handler.response_streaming:
            return self._stream(handler)
        method = f"/{service}/{name}"
        counted = service.startswith(PACKAGE)
        behaviour, decode = handler.unary_unary, handler.request_deserializer

        def decoded(request: bytes, context: Any) -> Any:
            try:
                message = decode(request)
            except DecodeError:
                raise unreadable() from None
            return behaviour(message, context)

        wrapped = self._around(decoded, method) if counted else decoded

        def answer(request: bytes, context: grpc.ServicerContext) -> Any:
            if counted:
                return self._counted(wrapped, method, request, context)
            response, error = _answered(wrapped, method, request, context)
            return _sent(response, error, context)

        answer.quick = not name.startswith(SLOW)  # type: ignore[attr-defined]  # functions may have attributes
        # Bytes come in as they are: grpcio calls what it cannot decode a fault of the server.
        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)

    def _stream(self, handler: Any) -> Any:
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            return behaviour(request, context)

        answer.experimental_thread_pool = self._streams  # type: ignore[attr-defined]  # grpcio reads it there
        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(answer, handler.request_deserializer, handler.response_serializer)

    def _counted(self, behaviour: Behaviour, method: str, request: bytes, context: grpc.ServicerContext) -> Any:
        started = time.perf_counter()
        self._metrics.started()
        response, error = _answered(behaviour, method, request, context)
        metadata = getattr(response, "metadata", None)
        self._metrics.observe(
            method,
            code=error.code if error else "OK",
            version=metadata.model.version if metadata else 0,
            transport="grpc",
            seconds=time.perf_counter() - started,
        )
        return _sent(response, error, context)


def _answered(
    behaviour: Behaviour, method: str, request: bytes, context: grpc.ServicerContext
) -> tuple[Any, CallError | None]:
    try:
        return behaviour(request, context), None
    except CallError as refused:
        return None, refused
    except Exception:
        error_id = uuid.uuid4().hex
        logger.exception("internal error %s in %s", error_id, method)
        return None, internal(error_id)


def _sent(response: Any, error: CallError | None, context: grpc.ServicerContext) -> Any:
    if error:
        context.abort_with_status(rpc_status.to_status(to_status(error)))
    return response
