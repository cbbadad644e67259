"""A worker's health service while its state changes."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from grpc_server.champions import POINTER
from grpc_server.settings import ServerSettings

WATCHERS, ROUNDS, SECONDS = 100, 20, 10


def free_port():
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def pointer(tmp_path):
    """The file that tells a worker what to serve, which is nothing."""
    folder = tmp_path / "serving" / "live"
    folder.mkdir(parents=True)
    (folder / POINTER).write_text(json.dumps({"models": {}, "features": {}, "campaigns": None}))
    return folder / POINTER


@pytest.fixture
def health(tmp_path, pointer):
    """The health service of a worker in a process of its own."""
    settings = ServerSettings(var_dir=tmp_path, lake_root="", grpc_port=free_port(), rest_port=free_port())
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, "-m", "grpc_server.worker", "live", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as worker:  # noqa: S603 (our own module)
        with grpc.insecure_channel(f"127.0.0.1:{settings.grpc_port}") as channel:
            grpc.channel_ready_future(channel).result(60)
            yield health_pb2_grpc.HealthStub(channel)
        worker.kill()


@pytest.mark.xfail(strict=True, reason="grpcio-health-checking's lock is held while it sends: the server stands still")
def test_watchers_may_leave_while_they_are_told(health, pointer):
    """The next caller is answered; a promotion tells all watchers, of whom some have just gone."""
    request = health_pb2.HealthCheckRequest()
    for _ in range(ROUNDS):
        watched = [health.Watch(request, timeout=SECONDS) for _ in range(WATCHERS)]
        told = [next(stream).status for stream in watched]
        os.utime(pointer)
        for stream in watched:
            told.append(next(stream).status)
            stream.cancel()
        assert {health.Check(request, timeout=SECONDS).status} == set(told)
