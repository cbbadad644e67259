"""What a worker counts of its calls, in the form that Prometheus scrapes."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from grpc_server.state import State, StateHolder

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """The counters and gauges of one process."""

    def __init__(self, holder: StateHolder) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "shopsphere_requests",
            "Calls by outcome.",
            ["service", "method", "code", "model_version", "transport"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "shopsphere_request_seconds",
            "Time to answer a call.",
            ["service", "method", "transport"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("shopsphere_in_flight", "Calls being answered.", registry=self.registry)
        self.log_backlog = Gauge(
            "shopsphere_log_backlog_records", "Records that wait to be committed.", registry=self.registry
        )
        self.log_dropped = Counter(
            "shopsphere_log_dropped", "Records dropped because the spool took no more.", registry=self.registry
        )
        self._age = Gauge(
            "shopsphere_feature_age_seconds", "Time since the features' as_of.", ["table"], registry=self.registry
        )
        self._models = Gauge(
            "shopsphere_model_info", "The models that answer.", ["use_case", "version", "alias"], registry=self.registry
        )
        self._series: dict[tuple[str, str, int, str], tuple[Counter, Histogram]] = {}
        self._holder = holder
        holder.on_swap(self._show_models)

    def observe(self, method: str, *, code: str, version: int, transport: str, seconds: float) -> None:
        """Count one call; `method` is the full gRPC name, also for REST."""
        key = (method, code, version, transport)
        series = self._series.get(key)
        if series is None:
            service, _, short = method.strip("/").rpartition("/")
            service = service.rpartition(".")[2]
            series = self._series[key] = (
                self.requests.labels(service, short, code, str(version) if version else "", transport),
                self.seconds.labels(service, short, transport),
            )
        series[0].inc()
        series[1].observe(seconds)

    def text(self) -> bytes:
        """All of them as text."""
        now = datetime.now(UTC).replace(tzinfo=None)
        for table, snapshot in self._holder.current.features.items():
            self._age.labels(table).set((now - snapshot.as_of).total_seconds())
        return generate_latest(self.registry)

    def _show_models(self, state: State) -> None:
        self._models.clear()
        for name, served in state.models.items():
            self._models.labels(name, str(served.version), served.alias).set(1)
