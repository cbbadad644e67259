"""What happens around every call of our services: counted, timed, and no exception text ever leaves."""

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
from grpc_status import rpc_status

from grpc_server.errors import CallError, internal, to_status
from grpc_server.metrics import Metrics

logger = logging.getLogger(__name__)
PACKAGE = "/shopsphere.v1."


class CallInterceptor(grpc.ServerInterceptor):
    """Turns the core's errors into google.rpc.Status and anything else into INTERNAL with an id."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """Wrap the unary calls of our package."""
        handler = continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or not handler.unary_unary or not method.startswith(PACKAGE):
            return handler

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            return self._answer(handler.unary_unary, method, request, context)

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)

    def _answer(self, behaviour: Callable[..., Any], method: str, request: Any, context: grpc.ServicerContext) -> Any:
        started = time.perf_counter()
        code, version = "OK", 0
        error: CallError | None = None
        response: Any = None
        with self._metrics.in_flight.track_inprogress():
            try:
                response = behaviour(request, context)
                if "metadata" in response.DESCRIPTOR.fields_by_name:
                    version = response.metadata.model.version
            except CallError as refused:
                error = refused
            except Exception:
                error_id = uuid.uuid4().hex
                logger.exception("internal error %s in %s", error_id, method)
                error = internal(error_id)
        code = error.code if error else code
        self._metrics.observe(
            method, code=code, version=version, transport="grpc", seconds=time.perf_counter() - started
        )
        if error:
            context.abort_with_status(rpc_status.to_status(to_status(error)))
        return response
