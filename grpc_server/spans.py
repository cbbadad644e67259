"""OpenTelemetry spans: one per call over gRPC or REST, below the caller's where it sends a `traceparent`.

Its attributes say which model and data answered; the model and the prediction log have a span each below it. Imported
only where spans are sent.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from google.rpc import code_pb2
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from grpc_server.call import Answers, Call
from grpc_server.errors import CallError
from grpc_server.metrics import Metrics
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.rest import ENDPOINTS
from grpc_server.tracing import Parts

HEADERS = ("traceparent", "tracestate")
SERVICE = "shopsphere"


def exported() -> TracerProvider:
    """Sends spans to OTEL_EXPORTER_OTLP_ENDPOINT over HTTP in a thread of its own; other OTEL_ variables hold too."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def traced_parts(provider: TracerProvider) -> Parts:
    """Parts of a worker whose spans go to the provider."""
    tracer = provider.get_tracer(__name__)
    started = partial(tracer.start_as_current_span, record_exception=False, set_status_on_exception=False)

    class TracedMetrics(Metrics):
        def observe_model(self, use_case: str, seconds: float) -> None:
            super().observe_model(use_case, seconds)
            now = time.time_ns()
            tracer.start_span("model", start_time=now - int(seconds * 1e9)).end(now)

    class TracedLog(PredictionLog):
        def append(self, line: bytes) -> bool:
            with tracer.start_as_current_span("log", attributes={"bytes": len(line)}):
                return super().append(line)

    class TracedPredictor(Predictor):
        def predict(self, call: Call) -> Answers:
            answers = super().predict(call)
            trace.get_current_span().set_attributes(_origin(call, answers))
            return answers

    def behaviour(answer: Callable[[bytes, Any], Any], method: str) -> Callable[[bytes, Any], Any]:
        service, _, name = method.strip("/").rpartition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}

        def traced(request: bytes, context: Any) -> Any:
            above = _above({key: value for key, value in context.invocation_metadata() if key in HEADERS})
            with started(method.strip("/"), above, SpanKind.SERVER, attributes) as span:
                try:
                    response = answer(request, context)
                except Exception as error:
                    _failed(span, error)
                    raise
                span.set_attribute("rpc.grpc.status_code", 0)
                return response

        return traced

    def app(inner: Any) -> Any:
        async def traced(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] not in ENDPOINTS:
                await inner(scope, receive, send)
                return
            headers = {name.decode(): value.decode() for name, value in scope["headers"] if name.decode() in HEADERS}
            attributes = {"http.request.method": scope["method"], "http.route": scope["path"]}
            name = f"{scope['method']} {scope['path']}"
            with started(name, _above(headers), SpanKind.SERVER, attributes) as span:

                async def told(message: Any) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        if message["status"] >= 500:
                            span.set_status(StatusCode.ERROR)
                    await send(message)

                await inner(scope, receive, told)

        return traced

    return Parts(metrics=TracedMetrics, log=TracedLog, predictor=TracedPredictor, behaviour=behaviour, app=app)


def _above(headers: Mapping[str, str]) -> Context:
    return TraceContextTextMapPropagator().extract(headers)


def _failed(span: Span, error: Exception) -> None:
    """What a caller has done wrong is no error of the server's."""
    if isinstance(error, CallError):
        span.set_attributes({"rpc.grpc.status_code": error.number, "shopsphere.reason": error.reason})
    else:
        span.set_attribute("rpc.grpc.status_code", code_pb2.INTERNAL)
        span.record_exception(error)
        span.set_status(StatusCode.ERROR)


def _origin(call: Call, answers: Answers) -> dict[str, Any]:
    """What an answer can be traced by."""
    found: dict[str, Any] = {
        "shopsphere.prediction_id": answers.batch_id if len(call.entity_ids) > 1 else answers.prediction_id(0),
        "shopsphere.items": len(call.entity_ids),
        "shopsphere.model.name": answers.served.use_case.name,
        "shopsphere.model.version": answers.served.version,
    }
    if answers.snapshot:
        found |= {
            "shopsphere.data.table": answers.snapshot.table,
            "shopsphere.data.version": answers.snapshot.version,
            "shopsphere.data.as_of": answers.snapshot.as_of.isoformat(),
        }
    return found
