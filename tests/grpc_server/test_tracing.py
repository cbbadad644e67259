"""Spans of calls, as an exporter in memory gets them, and nothing of OpenTelemetry where no address is set."""

import asyncio
import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from shopsphere.v1 import clv_pb2, clv_pb2_grpc

from grpc_server import settings as settings_module
from grpc_server.mount import Mount
from grpc_server.poll_thread import PollThreadExecutor
from grpc_server.rest import make_app
from grpc_server.services import add_services
from grpc_server.settings import ServerSettings
from grpc_server.spans import exported, traced_parts
from grpc_server.state import StateHolder
from lakehouse.errors import ConfigurationError

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def exporter():
    """Keeps the spans that have ended."""
    return InMemorySpanExporter()


@pytest.fixture
def traced(tmp_path, state, exporter):
    """A stub of a real server with traced parts, and `rest("POST", path, json=…)` to its REST application."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    parts, holder = traced_parts(provider), StateHolder()
    holder.swap(state)
    metrics = parts.metrics(holder)
    predictor = parts.predictor(holder, parts.log(tmp_path / "spool"), metrics)
    server = grpc.server(PollThreadExecutor())
    add_services(Mount(server, metrics, parts.behaviour), predictor, holder)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    transport = httpx.ASGITransport(parts.app(make_app(predictor, holder, metrics)))

    def rest(method, path, **values):
        async def once():
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return await client.request(method, path, **values)

        return asyncio.run(once())

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield clv_pb2_grpc.ClvServiceStub(channel), rest
    server.stop(None).wait()
    provider.shutdown()


def spans(exporter):
    """The span of the call, and the names of those below it."""
    *below, whole = exporter.get_finished_spans()
    assert {span.parent.span_id for span in below} <= {whole.context.span_id}
    return whole, [span.name for span in below]


@pytest.mark.parametrize(("ids", "items"), [("PredictClv", 1), ("BatchPredictClv", 2)])
def test_a_grpc_call_is_a_span_below_the_callers(traced, exporter, ids, items):
    """With the model and data that answered, and one span each for model and log."""
    stub, _ = traced
    if items == 1:
        answer = stub.PredictClv(clv_pb2.PredictClvRequest(customer_id="1"), metadata=[("traceparent", PARENT)])
        prediction = answer.metadata.prediction_id
    else:
        request = clv_pb2.BatchPredictClvRequest(customer_ids=["1", "2"])
        prediction = stub.BatchPredictClv(request, metadata=[("traceparent", PARENT)]).metadata.batch_id
    whole, below = spans(exporter)
    assert (f"shopsphere.v1.ClvService/{ids}", SpanKind.SERVER) == (whole.name, whole.kind)
    assert (int(TRACE, 16), int(CALLER, 16)) == (whole.context.trace_id, whole.parent.span_id)
    assert dict(whole.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "shopsphere.v1.ClvService",
        "rpc.method": ids,
        "rpc.grpc.status_code": 0,
        "shopsphere.prediction_id": prediction,
        "shopsphere.items": items,
        "shopsphere.model.name": "clv",
        "shopsphere.model.version": 3,
        "shopsphere.data.table": "gold.customer_features",
        "shopsphere.data.version": 4,
        "shopsphere.data.as_of": "2024-03-01T00:00:00",
    }
    assert below == ["model", "log"]


def test_a_rest_call_is_one_too(traced, exporter):
    """The same model and log below it; health and metrics are none."""
    _, rest = traced
    answer = rest("POST", "/score/clv", json={"customer_id": 1}, headers={"traceparent": PARENT})
    assert (rest("GET", "/health").status_code, rest("GET", "/metrics").status_code) == (200, 200)
    whole, below = spans(exporter)
    assert ("POST /score/clv", int(TRACE, 16)) == (whole.name, whole.context.trace_id)
    assert whole.attributes["http.response.status_code"] == 200
    assert answer.json()["prediction_id"] == whole.attributes["shopsphere.prediction_id"]
    assert below == ["model", "log"]


def test_only_a_fault_of_ours_is_an_error(traced, exporter):
    """What a caller does wrong has its code and reason."""
    stub, _ = traced
    for request in ({"customer_id": ""}, {"customer_id": "1", "features": clv_pb2.ClvFeatures(monetary=666)}):
        with pytest.raises(grpc.RpcError):
            stub.PredictClv(clv_pb2.PredictClvRequest(**request))
    refused, failed = exporter.get_finished_spans()
    assert (
        refused.status.status_code,
        refused.attributes["rpc.grpc.status_code"],
        refused.attributes["shopsphere.reason"],
    ) == (StatusCode.UNSET, 3, "INVALID_FIELD")
    assert (failed.status.status_code, failed.attributes["rpc.grpc.status_code"]) == (StatusCode.ERROR, 13)
    assert [event.name for event in failed.events] == ["exception"]


def test_without_an_address_nothing_of_it_is_imported():
    """And a worker's parts are the plain ones."""
    code = (
        "import sys, grpc_server.worker; from grpc_server.tracing import Parts, worker_parts; "
        "from grpc_server.settings import ServerSettings; "
        "print(worker_parts(ServerSettings(tracing_endpoint='')) == Parts(), 'opentelemetry' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True False\n"


def test_an_address_without_the_packages_is_refused(monkeypatch):
    """With the command that installs them."""
    ServerSettings(tracing_endpoint="http://127.0.0.1:4318").check_tracing()
    monkeypatch.setattr(settings_module, "EXPORTER", "opentelemetry_that_is_not_there.exporter")
    ServerSettings(tracing_endpoint="").check_tracing()
    with pytest.raises(ConfigurationError, match=r"pip install 'shopsphere\[otel\]'"):
        ServerSettings(tracing_endpoint="http://127.0.0.1:4318").check_tracing()


def test_spans_are_sent_to_the_address(monkeypatch):
    """Over HTTP, under the service's name, by the time that the worker ends."""
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        provider = exported()
        provider.get_tracer("test").start_span("a-span").end()
        provider.shutdown()
        server.shutdown()
    ((path, body),) = received
    spans = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    assert path == "/v1/traces"
    assert all(name in spans for name in (b"a-span", b"shopsphere"))
