"""The health service while its watchers come and go, and what streams leave to calls."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from grpc_server import health
from grpc_server.metrics import Metrics
from grpc_server.mount import Mount
from grpc_server.poll_thread import PollThreadExecutor
from grpc_server.state import StateHolder

SERVING, NOT_SERVING, UNKNOWN = (
    health_pb2.HealthCheckResponse.ServingStatus.Value(name) for name in ("SERVING", "NOT_SERVING", "UNKNOWN")
)
SECONDS = 20
ANY = health_pb2.HealthCheckRequest()


@pytest.fixture
def service():
    """The service, which knows one other service."""
    return health.HealthService(["shop"])


@pytest.fixture
def server(service):
    """A server with it, and its address."""
    server = grpc.server(PollThreadExecutor())
    health_pb2_grpc.add_HealthServicer_to_server(service, Mount(server, Metrics(StateHolder())))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield server, f"127.0.0.1:{port}"
    service.end()
    server.stop(None).wait()


@pytest.fixture
def stub(server):
    """A client of it."""
    with grpc.insecure_channel(server[1]) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def test_nothing_is_known_before_something_is_told(service, stub):
    """Then it is what was told last."""
    assert stub.Check(ANY).status == UNKNOWN
    service.set({"": True, "shop": False})
    listed = stub.List(health_pb2.HealthListRequest()).statuses
    assert {name: entry.status for name, entry in listed.items()} == {"": SERVING, "shop": NOT_SERVING}


def test_watchers_may_leave_while_they_are_told(service, stub):
    """The next caller is answered; each promotion tells all watchers, of whom some have just gone."""
    for serves in [True, False] * 10:
        watched = [stub.Watch(ANY, timeout=SECONDS) for _ in range(50)]
        before = {next(stream).status for stream in watched}
        service.set({"": serves})
        for stream in watched[::2]:
            stream.cancel()
        assert {SERVING if serves else NOT_SERVING} == {next(stream).status for stream in watched[1::2]} != before
        for stream in watched[1::2]:
            stream.cancel()
        assert stub.Check(ANY, timeout=SECONDS).status in (SERVING, NOT_SERVING)


def test_a_watcher_too_many_is_refused(service, stub):
    """The others, and whoever only asks, are served on."""
    watched = [stub.Watch(ANY, timeout=SECONDS) for _ in range(health.WATCHERS)]
    assert {next(stream).status for stream in watched} == {UNKNOWN}
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.Watch(ANY, timeout=SECONDS))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for stream in watched:
        stream.cancel()
    service.set({"": True})
    assert stub.Check(ANY, timeout=SECONDS).status == SERVING


def test_the_end_ends_every_watch(server, service, stub):
    """So that a server with watchers stops as soon as one without."""
    service.set({"": True})
    watched = stub.Watch(ANY, timeout=SECONDS)
    assert next(watched).status == SERVING
    service.end()
    assert [answer.status for answer in watched] == [NOT_SERVING]
    assert server[0].stop(60).wait(timeout=SECONDS)
