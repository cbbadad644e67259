"""What a worker counts of its calls; a scrape of any worker tells of all processes of the server."""

import platform
from bisect import bisect_left
from datetime import UTC
from importlib.metadata import version as installed_version
from pathlib import Path

from grpc_server.counters import SUFFIX, Counters, Key, read_counters
from grpc_server.exposition import BOUNDS, BUCKETS, SUM, render
from grpc_server.metric_families import (
    AGE,
    BACKLOG,
    BACKLOG_BYTES,
    BUILD,
    DROPPED,
    FAMILIES,
    GAUGES,
    IN_FLIGHT,
    MODEL,
    MODELS,
    QUEUE,
    READY,
    REFUSING,
    REQUESTS,
    SECONDS,
    SPOOL_BYTES,
    SPOOL_LIMIT,
)
from grpc_server.prediction_log import PredictionLog
from grpc_server.spool import usage
from grpc_server.state import State, StateHolder

NAN = float("nan")
SUM_PLACE = len(BOUNDS)


class Metrics:
    """The numbers of one worker, in the file of its slot in `folder`; without a folder they end with the process.

    Recording a call costs about a microsecond: a dictionary, a bisection, and numbers in mapped memory under one lock.
    """

    def __init__(self, holder: StateHolder, *, folder: Path | None = None, slot: str = "worker-0") -> None:
        self._folder, self._holder = folder, holder
        self._counters = Counters(folder / f"{slot}{SUFFIX}" if folder else None)
        for name, *labels in self._counters.read():
            if name in GAUGES:  # of the process before this one
                self._counters.set(name, *labels, to=NAN)
        self._values, self._lock = self._counters.values, self._counters.lock
        self._calls: dict[tuple[str, str, int, str], tuple[int, int]] = {}
        self._histograms: dict[Key, int] = {}
        self._log: PredictionLog | None = None
        self._counters.set(BUILD.name, installed_version("shopsphere"), platform.python_version(), to=1)
        self._counters.set(IN_FLIGHT.name, to=0)
        self._counters.add(DROPPED.name, amount=0)
        self._in_flight = self._counters.place((IN_FLIGHT.name,))
        holder.on_swap(self._show_state)

    def started(self) -> None:
        """Count a call as in flight, until it is observed."""
        with self._lock:
            self._values[self._in_flight] += 1.0

    def observe(self, method: str, *, code: str, version: int, transport: str, seconds: float) -> None:
        """Count one started call that has ended; `method` is the full gRPC name, also for REST."""
        key = (method, code, version, transport)
        count, histogram = self._calls.get(key) or self._new_call(*key)
        values, bucket = self._values, histogram + bisect_left(BUCKETS, seconds)
        with self._lock:
            values[self._in_flight] -= 1.0
            values[count] += 1.0
            values[bucket] += 1.0
            values[histogram + SUM_PLACE] += seconds

    def observe_model(self, use_case: str, seconds: float) -> None:
        """Count the time that a model took for a call."""
        self._observe((MODEL.name, use_case), seconds)

    def observe_queue(self, seconds: float) -> None:
        """Count the time that a call waited for a thread of a pool; short calls over gRPC need none."""
        self._observe((QUEUE.name,), seconds)

    def watch(self, log: PredictionLog) -> None:
        """Tell of the worker's prediction log too."""
        self._log = log

    def refresh(self) -> None:
        """Let other processes see what is only known here; call this a few times a second."""
        self._counters.set(READY.name, to=self._holder.loaded)
        if self._log:
            self._counters.set(BACKLOG.name, to=self._log.open_records)
            self._counters.set(BACKLOG_BYTES.name, to=self._log.open_bytes)
            self._counters.set(REFUSING.name, to=self._log.refusing)

    def count_dropped(self) -> None:
        """Count a record that the prediction log did not take."""
        self._counters.add(DROPPED.name)

    def text(self) -> bytes:
        """All numbers of the server in Prometheus' text format."""
        self.refresh()
        sources = read_counters(self._folder) if self._folder else [self._counters.read()]
        if self._log:
            used = usage(self._log.spool)
            spool = {BACKLOG: used.closed_records, BACKLOG_BYTES: used.closed_bytes, SPOOL_BYTES: used.bytes}
            spool[SPOOL_LIMIT] = self._log.limit_bytes
            sources.append({(family.name,): float(number) for family, number in spool.items()})
        return render(FAMILIES, sources)

    def _observe(self, key: Key, seconds: float) -> None:
        histogram = self._histograms.get(key)
        if histogram is None:
            histogram = self._histograms[key] = self._counters.place(*((*key, part) for part in (*BOUNDS, SUM)))
        values, bucket = self._values, histogram + bisect_left(BUCKETS, seconds)
        with self._lock:
            values[bucket] += 1.0
            values[histogram + SUM_PLACE] += seconds

    def _new_call(self, method: str, code: str, version: int, transport: str) -> tuple[int, int]:
        service, _, short = method.strip("/").rpartition("/")
        service = service.rpartition(".")[2]
        count = self._counters.place((REQUESTS.name, service, short, code, str(version) if version else "", transport))
        histogram = self._counters.place(*((SECONDS.name, service, short, transport, part) for part in (*BOUNDS, SUM)))
        self._calls[method, code, version, transport] = count, histogram
        return count, histogram

    def _show_state(self, state: State) -> None:
        canaries = ((name, one.served) for name, one in state.challengers.items() if one.percent)
        answering = [*state.models.items(), *canaries]
        models: dict[Key, float] = {(name, str(one.version), one.alias): 1.0 for name, one in answering}
        moments: dict[Key, float] = {
            (table,): found.as_of.replace(tzinfo=UTC).timestamp() for table, found in state.features.items()
        }
        for family, numbers in ((MODELS, models), (AGE, moments)):
            for name, *labels in self._counters.read():
                if name == family.name and tuple(labels) not in numbers:
                    self._counters.set(name, *labels, to=NAN)
            for key, number in numbers.items():
                self._counters.set(family.name, *key, to=number)
