"""A worker: one process that answers gRPC and REST from what the follower dropped; it imports nothing heavy."""

import argparse
import logging
import os
import signal
import socket
import threading
from typing import Any

import grpc
import uvicorn
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from grpc_server import health
from grpc_server.champions import POINTER, load_state, read_pointer
from grpc_server.child import collect_seldom, orphaned
from grpc_server.health import HealthService
from grpc_server.live import Reporter
from grpc_server.mount import Mount
from grpc_server.poll_thread import PollThreadExecutor
from grpc_server.rest import make_app
from grpc_server.services import SERVICES, add_services
from grpc_server.settings import ServerSettings
from grpc_server.state import State, StateHolder
from grpc_server.tracing import worker_parts
from lakehouse.stop_signal import StopSignal

logger = logging.getLogger(__name__)
WATCH_SECONDS = 0.2
DRAIN_SECONDS = 10
MAX_MESSAGE_BYTES = 4 << 20


class Worker:
    """Both servers on their ports, and the state that they answer from."""

    def __init__(self, settings: ServerSettings, name: str, number: int) -> None:
        self._folder = settings.serving_dir(name)
        self._pointer_seen: tuple[int, int] | None = None
        self._holder = StateHolder(self._folder)
        parts = worker_parts(settings)
        self._metrics = parts.metrics(self._holder, folder=settings.metrics_dir(name), slot=f"worker-{number}")
        self._log = parts.log(
            settings.spool_dir,
            limit_bytes=settings.spool_mb << 20,
            rates=settings.log_rates,
            on_drop=self._metrics.count_dropped,
        )
        self._metrics.watch(self._log)
        predictor = parts.predictor(self._holder, self._log, self._metrics)
        self._health = HealthService(list(SERVICES))
        self._grpc = grpc.server(
            PollThreadExecutor(self._metrics.observe_queue),
            options=[("grpc.so_reuseport", 1), ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)],
        )
        mount: Any = Mount(self._grpc, self._metrics, parts.behaviour)
        add_services(mount, predictor, self._holder)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, mount)
        reflection.enable_server_reflection([*SERVICES, health.NAME, reflection.SERVICE_NAME], mount)
        app = parts.app(make_app(predictor, self._holder, self._metrics))
        self._rest = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        self._settings = settings
        self._reporter = Reporter(self._folder)

    def start(self) -> None:
        """Begin to listen and to answer; what has no model yet says so."""
        self._grpc.add_insecure_port(f"{self._settings.host}:{self._settings.grpc_port}")
        listening = _shared_socket(self._settings.host, self._settings.rest_port)
        self._grpc.start()
        # in a thread of ours uvicorn leaves the signals of the process alone
        self._rest_thread = threading.Thread(target=self._rest.run, kwargs={"sockets": [listening]}, daemon=True)
        self._rest_thread.start()
        self._reporter.write(self._holder.current)

    def look(self) -> None:
        """Load what the follower dropped since the last look, and hand over what the spool has collected.

        What cannot be loaded is told once, and what there is serves on; a worker that has nothing yet ends.
        """
        self._log.tend()
        self._metrics.refresh()
        try:
            found = (self._folder / POINTER).stat()
            seen = (found.st_ino, found.st_mtime_ns)
            if seen == self._pointer_seen:
                return
            pointer = read_pointer(self._folder)
            if pointer is not None:
                state = load_state(self._folder, pointer, self._holder.current, self._log.recent)
                self._holder.swap(state)
                self._set_health(state)
                self._reporter.write(state)
        except FileNotFoundError:
            return  # before the follower's first word, or it has just replaced what the pointer named: look again
        except Exception:
            if not self._holder.loaded:
                raise
            logger.exception("what the follower dropped cannot be loaded: what there is serves on")
        self._pointer_seen = seen

    def stop(self) -> None:
        """Refuse new calls, finish those in flight, close the spool."""
        self._health.end()
        self._rest.should_exit = True
        ended = self._grpc.stop(DRAIN_SECONDS)
        self._rest_thread.join(DRAIN_SECONDS)
        ended.wait()
        self._log.close()

    def _set_health(self, state: State) -> None:
        any_model = bool(state.models)
        there = {service: use_case in state.models if use_case else any_model for service, use_case in SERVICES.items()}
        self._health.set({"": any_model, **there})


def _shared_socket(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((host, port))
    return listening


def _pin(core: int) -> None:
    """Keep the process on one core: gRPC's threads take turns anyway, and waking each other across cores costs more."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


def main() -> None:
    """Answer until SIGTERM, or the death of the parent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the server")
    parser.add_argument("number", type=int, help="of the worker, from 0; one that takes its place has the same")
    parser.add_argument("core", type=int, help="the core that this worker keeps to, counted on where there are fewer")
    parser.add_argument("--parent", type=int, required=True, help="pid of who starts this process, which ends with it")
    options = parser.parse_args()
    _pin(options.core)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(message)s")
    stop = StopSignal(signal.SIGTERM)
    worker = Worker(ServerSettings(), options.name, options.number)
    worker.look()  # who takes a dead one's place has models before it listens
    collect_seldom()
    worker.start()
    while not stop.wait(WATCH_SECONDS) and not orphaned(options.parent):
        worker.look()
    worker.stop()


if __name__ == "__main__":
    main()
