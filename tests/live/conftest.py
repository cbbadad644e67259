"""A registry with two versions of CLV, and a server of two workers that answers with the first."""

import threading

import pytest
from live_server import Live, constant, log, wait

from grpc_server.client import ServerError
from grpc_server.follower import Follower
from grpc_server.live import reports
from grpc_server.supervisor import _free_port
from training.registry import Registry


@pytest.fixture(scope="module")
def settings(tmp_path_factory, new_server_settings):
    """Settings of a folder with a registry in which version 1 answers 1.0 and version 2 answers 2.0."""
    settings = new_server_settings(
        tmp_path_factory.mktemp("live"),
        grpc_port=_free_port("127.0.0.1", 0, "GRPC_PORT"),
        rest_port=_free_port("127.0.0.1", 0, "REST_PORT"),
    )
    assert [log(Registry(settings), constant(value)) for value in (1.0, 2.0)] == [1, 2]
    return settings


@pytest.fixture
def registry(settings):
    """The registry, its champion version 1."""
    registry = Registry(settings)
    registry.set_champion("clv", 1)
    return registry


@pytest.fixture(scope="module")
def server(settings):
    """Two workers, with version 1."""
    Registry(settings).set_champion("clv", 1)
    server = Live(settings, Follower(settings, name="live"))
    server.workers = [server.start() for _ in range(2)]
    try:
        wait(lambda: len(reports(server.serving)) == 2)
        assert server.take(1).live
        wait(lambda: _answers(server))
        yield server
    finally:
        for worker in server.workers:
            worker.kill()
            worker.wait()


@pytest.fixture
def live(server, registry):
    """They answer, with version 1 again."""
    server.follower = Follower(server.settings, name="live")
    assert server.take(1).live
    return server


@pytest.fixture
def following(live):
    """The follower looks again and again, as its process does."""
    stop = threading.Event()

    def look():
        while not stop.wait(0.1):
            live.follower.step()

    thread = threading.Thread(target=look)
    thread.start()
    yield
    stop.set()
    thread.join()


def _answers(server):
    try:
        return server.ask()
    except ServerError:
        return False
