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
from functools import partial
from pathlib import Path

from grpc_server.champions import POINTER
from grpc_server.child import Child, end
from grpc_server.counters import SUFFIX, Counters, read_counters
from grpc_server.metric_families import READY, RESTARTS
from grpc_server.server_lock import ServerLock
from grpc_server.settings import ServerSettings
from lakehouse.errors import ConfigurationError, ShopSphereError

logger = logging.getLogger(__name__)
START_SECONDS = 120
STOP_SECONDS = 30
WORKER, FOLLOWER = "worker", "follower"
TRANSPORT = {"GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener"}
"""Let the thread that takes calls from gRPC read them from the network too, instead of being woken by one that does."""


class ServerStartError(ShopSphereError):
    """The server did not start."""


class Supervisor:
    """The processes of one server; `log` takes their output, which goes to the terminal where it is None."""

    def __init__(
        self, settings: ServerSettings, *, name: str = "live", as_of: datetime | None = None, log: Path | None = None
    ) -> None:
        settings.check_host()
        settings.check_tracing()
        self.settings = settings
        self._name, self._log = name, log
        self._as_of = ["--as-of", as_of.isoformat()] if as_of else []
        self._children: list[Child] = []
        self._lock: ServerLock | None = None

    def start(self) -> None:
        """Start all processes and return when they answer.

        Raises:
            ServerStartError: they ended, or did not answer in time.
            ServerRunsError: a server of this name runs already.
            ConfigurationError: a port is taken.
        """
        folder, metrics = self.settings.serving_dir(self._name), self.settings.metrics_dir(self._name)
        self._lock = ServerLock(folder)
        ports = {
            "grpc_port": _free_port(self.settings.host, self.settings.grpc_port, "GRPC_PORT"),
            "rest_port": _free_port(self.settings.host, self.settings.rest_port, "REST_PORT"),
        }
        self.settings = self.settings.model_copy(update=ports)
        # What an earlier server of this name was told to serve may have changed since.
        (folder / POINTER).unlink(missing_ok=True)
        shutil.rmtree(metrics, ignore_errors=True)
        self._counters = Counters(metrics / f"supervisor{SUFFIX}")
        for kind in (FOLLOWER, WORKER):
            self._counters.add(RESTARTS.name, kind, amount=0)
        self._children = [Child(FOLLOWER, partial(self._spawn, "grpc_server.follower", self._name, *self._as_of))]
        first_core = secrets.randbelow(os.cpu_count() or 1)  # servers side by side should not share one
        for number in range(self.settings.workers):
            arguments = (self._name, str(number), str(first_core + number))
            self._children.append(Child(WORKER, partial(self._spawn, "grpc_server.worker", *arguments)))
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if any(child.process.poll() is not None for child in self._children):
                raise ServerStartError(self._last_words() or "a process of the server ended while it started")
            if time.monotonic() > deadline:
                raise ServerStartError(f"the server did not answer within {START_SECONDS} s")
            time.sleep(0.05)

    def watch(self) -> None:
        """Start again what has died."""
        for child in self._children:
            if child.died():
                self._counters.add(RESTARTS.name, child.kind)

    def stop(self) -> None:
        """Let the workers finish their calls, then the follower ship their spools."""
        for kind in (WORKER, FOLLOWER):
            end([child.process for child in self._children if child.kind == kind], STOP_SECONDS)
        if self._lock:
            self._lock.release()
            self._lock = None

    def _spawn(self, *command: str) -> "subprocess.Popen[bytes]":
        environment = {**TRANSPORT, **os.environ, **self.settings.environment(), "OPENBLAS_NUM_THREADS": "1"}
        output = None
        if self._log:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            output = self._log.open("ab")
        try:
            # A session of their own: Ctrl-C reaches the supervisor alone, which then stops them in order.
            return subprocess.Popen(  # noqa: S603 (our own modules)
                [sys.executable, "-m", *command, "--parent", str(os.getpid())],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            if output:
                output.close()

    def _ready(self) -> bool:
        """Every worker has loaded what the follower dropped; without any champion they say that they cannot serve."""
        numbers = read_counters(self.settings.metrics_dir(self._name))
        return sum(found.get((READY.name,), 0.0) for found in numbers) == self.settings.workers

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
