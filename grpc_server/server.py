"""The server as a function: `serve` for the command line, `running_server` for a block of Python."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from grpc_server.settings import ServerSettings
from grpc_server.supervisor import Supervisor
from lakehouse.stop_signal import StopSignal

WATCH_SECONDS = 0.2


@dataclass(frozen=True)
class ServerAddress:
    """Where a running server answers."""

    host: str
    grpc_port: int
    rest_port: int

    @property
    def grpc(self) -> str:
        """The gRPC target."""
        return f"{self.host}:{self.grpc_port}"

    @property
    def rest(self) -> str:
        """The REST base address."""
        return f"http://{self.host}:{self.rest_port}"


def server_name(as_of: datetime | None) -> str:
    """What the server of now, or of a past date, is called: its folder is named so."""
    return f"{as_of:%Y%m%dT%H%M%S}" if as_of else "live"


@contextmanager
def running_server(settings: ServerSettings, *, as_of: datetime | None = None) -> Iterator[ServerAddress]:
    """A server of its own processes, ready when the block begins; at its end all answers are in the prediction log.

    Raises:
        ServerStartError: it did not start; the message is what the process that ended had said.
        ServerRunsError: a server of this name runs already on the folder.
        ConfigurationError: a port is taken, or the host is open to others.
    """
    name = server_name(as_of)
    supervisor = Supervisor(settings, name=name, as_of=as_of, log=settings.serving_dir(name) / "server.log")
    stop = threading.Event()
    watch = threading.Thread(target=_watch, args=(supervisor, stop))
    try:
        supervisor.start()
        watch.start()
        ports = supervisor.settings
        yield ServerAddress(ports.host, ports.grpc_port, ports.rest_port)
    finally:
        stop.set()
        if watch.ident:
            watch.join()
        supervisor.stop()


def serve(settings: ServerSettings, *, as_of: datetime | None = None, ready: Callable[[ServerAddress], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; calls `ready` when the server answers.

    Raises:
        ServerStartError, ServerRunsError, ConfigurationError: as `running_server`.
    """
    stop = StopSignal(signal.SIGTERM, signal.SIGINT)
    with running_server(settings, as_of=as_of) as address:
        ready(address)
        stop.wait()


def _watch(supervisor: Supervisor, stop: threading.Event) -> None:
    while not stop.wait(WATCH_SECONDS):
        supervisor.watch()
