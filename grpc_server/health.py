"""The standard health service: whether each service can answer, for who asks, watches or lists.

Not grpcio-health-checking's servicer: that one holds its lock while it sends, so that a watcher who leaves at this
moment stops the whole server. Here each watcher has a thread that sleeps until something changes.
"""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from grpc_server.errors import not_found

NAME = "grpc.health.v1.Health"
Status = health_pb2.HealthCheckResponse
WATCHERS = 100


class HealthService(health_pb2_grpc.HealthServicer):
    """Knows the services of `statuses`; `UNKNOWN` until it is told better."""

    def __init__(self, services: list[str]) -> None:
        self._changed = threading.Condition()
        self._statuses: Mapping[str, int] = dict.fromkeys(["", *services], Status.UNKNOWN)
        self._watchers = 0
        self._ended = False

    def set(self, statuses: Mapping[str, bool]) -> None:
        """Say of each service whether it serves."""
        with self._changed:
            if not self._ended:
                known = {True: Status.SERVING, False: Status.NOT_SERVING}
                self._statuses = {service: known[serves] for service, serves in statuses.items()}
                self._changed.notify_all()

    def end(self) -> None:
        """Nothing serves any more: watchers are told, and their calls end."""
        with self._changed:
            self._statuses = dict.fromkeys(self._statuses, Status.NOT_SERVING)
            self._ended = True
            self._changed.notify_all()

    def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Status:
        status = self._statuses.get(request.service)
        if status is None:
            raise not_found("service", request.service, f"unknown service {request.service!r}")
        return Status(status=status)

    def List(self, request: Any, context: Any) -> Any:
        statuses = {service: Status(status=status) for service, status in self._statuses.items()}
        return health_pb2.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]  # newer than its stubs

    def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> Iterator[Status]:
        with self._changed:
            self._watchers += 1
            many = self._watchers > WATCHERS
        try:
            if many:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"there are {WATCHERS} watchers: use Check")
            context.add_callback(self._wake)
            yield from self._changes(request.service, context)
        finally:
            with self._changed:
                self._watchers -= 1

    def _changes(self, service: str, context: Any) -> Iterator[Status]:
        told = None
        while context.is_active():
            with self._changed:
                while self._status(service) == told and not self._ended and context.is_active():
                    self._changed.wait()
                status, ended = self._status(service), self._ended
            if status != told:
                yield Status(status=status)  # without the lock: a watcher that does not read waits alone
                told = status
            if ended:
                return

    def _status(self, service: str) -> int:
        return self._statuses.get(service, Status.SERVICE_UNKNOWN)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
