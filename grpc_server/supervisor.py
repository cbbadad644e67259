"""The supervisor: starts the follower and the workers of a server, starts a dead one again, and stops them in order."""

import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from grpc_server.champions import POINTER
from grpc_server.counters import SUFFIX, Counters
from grpc_server.metric_families import RESTARTS
from grpc_server.settings import ServerSettings
from lakehouse.errors import ConfigurationError, ShopSphereError

logger = logging.getLogger(__name__)
START_SECONDS = 120
STOP_SECONDS = 30
RESTART_SECONDS = 1.0


class ServerStartError(ShopSphereError):
    """The server did not start."""


class Supervisor:
    """The processes of one server; `log` takes their output, which goes to the terminal where it is None."""

    def __init__(
        self, settings: ServerSettings, *, name: str = "live", as_of: datetime | None = None, log: Path | None = None
    ) -> None:
        settings.check_host()
        ports = {
            "grpc_port": _free_port(settings.host, settings.grpc_port, "GRPC_PORT"),
            "rest_port": _free_port(settings.host, settings.rest_port, "REST_PORT"),
        }
        self.settings = settings.model_copy(update=ports)
        self._name, self._log = name, log
        self._follower_command = ["grpc_server.follower", name, *(["--as-of", as_of.isoformat()] if as_of else [])]
        self._follower: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []
        self._restart_at = 0.0
        self._first_core = secrets.randbelow(os.cpu_count() or 1)  # servers side by side should not share one

    def start(self) -> None:
        """Start all processes and return when they answer.

        Raises:
            ServerStartError: they ended, or did not answer in time.
        """
        # What an earlier server of this name was told to serve may have changed since.
        (self.settings.serving_dir(self._name) / POINTER).unlink(missing_ok=True)
        shutil.rmtree(self.settings.metrics_dir(self._name), ignore_errors=True)
        self._counters = Counters(self.settings.metrics_dir(self._name) / f"supervisor{SUFFIX}")
        for process in ("worker", "follower"):
            self._counters.add(RESTARTS.name, process, amount=0)
        self._follower = self._spawn(self._follower_command)
        self._workers = [self._spawn(self._worker_command(number)) for number in range(self.settings.workers)]
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._follower.poll() is not None or any(worker.poll() is not None for worker in self._workers):
                raise ServerStartError(self._last_words() or "a process of the server ended while it started")
            if time.monotonic() > deadline:
                raise ServerStartError(f"the server did not answer within {START_SECONDS} s")
            time.sleep(0.05)

    def watch(self) -> None:
        """Start again what has died."""
        if time.monotonic() < self._restart_at:
            return
        for index, worker in enumerate(self._workers):
            if worker.poll() is not None:
                logger.error("a worker ended with code %s: starting it again", worker.returncode)
                self._counters.add(RESTARTS.name, "worker")
                self._workers[index] = self._spawn(self._worker_command(index))
                self._restart_at = time.monotonic() + RESTART_SECONDS
        if self._follower is not None and self._follower.poll() is not None:
            logger.error("the follower ended with code %s: starting it again", self._follower.returncode)
            self._counters.add(RESTARTS.name, "follower")
            self._follower = self._spawn(self._follower_command)
            self._restart_at = time.monotonic() + RESTART_SECONDS

    def stop(self) -> None:
        """Let the workers finish their calls, then the follower ship their spools."""
        _end(self._workers)
        _end([self._follower] if self._follower else [])

    def _worker_command(self, number: int) -> list[str]:
        return ["grpc_server.worker", self._name, str(number), str(self._first_core + number)]

    def _spawn(self, command: list[str]) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, **self.settings.environment(), "OPENBLAS_NUM_THREADS": "1"}
        output = None
        if self._log:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            output = self._log.open("ab")
        try:
            # A session of their own: Ctrl-C reaches the supervisor alone, which then stops them in order.
            return subprocess.Popen(  # noqa: S603 (our own modules)
                [sys.executable, "-m", *command], env=environment, stdout=output, stderr=output, start_new_session=True
            )
        finally:
            if output:
                output.close()

    def _ready(self) -> bool:
        """The follower has spoken and the workers answer; without any champion they answer that they cannot serve."""
        pointer = self.settings.serving_dir(self._name) / POINTER
        if not pointer.exists():
            return False
        with grpc.insecure_channel(f"{self.settings.host}:{self.settings.grpc_port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2, wait_for_ready=True)  # type: ignore[attr-defined]
            except grpc.RpcError:
                return False
        if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
            return '"models": {}' in pointer.read_text()
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def _last_words(self) -> str:
        if self._log is None or not self._log.exists():
            return ""
        lines = self._log.read_text().strip().splitlines()
        said = [line.removeprefix("shopsphere: ") for line in lines if line.startswith("shopsphere: ")]
        return said[-1] if said else f"the server did not start: see {self._log}"


def _free_port(host: str, port: int, variable: str) -> int:
    """The port, or a free one for 0.

    Raises:
        ConfigurationError: another process listens there.
    """
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}; stop what listens there, or set {variable}"
            ) from error
        return int(probe.getsockname()[1])


def _end(processes: "list[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            logger.error("process %s did not stop within %s s: killing it", process.pid, STOP_SECONDS)
            process.kill()
            process.wait()
