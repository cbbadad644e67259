"""The exporter: serves the newest metrics of the lake to Prometheus, each under its own name."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from lakehouse.errors import ConfigurationError, ShopSphereError
from lakehouse.metrics_table import MetricRow, newest_metrics
from lakehouse.storage import Lake
from monitoring.settings import MonitoringSettings

CACHE_SECONDS = 5.0
HELP = {
    "clv_drift_score": "Share of CLV inputs and answers that drifted from what the model was trained on.",
    "propensity_auc": "AUC of logged response probabilities against known outcomes.",
    "propensity_auc_delta": "propensity_auc less the AUC at promotion.",
    "recommender_coverage": "Distinct products served over the catalogue that the model may recommend.",
    "recommender_novelty": "Mean of -log2 of the served products' shares of all purchases, in bits.",
    "pricing_guardrail_violations": "Logged price suggestions that broke a guardrail, checked again from the lake.",
}


class LakeCollector(Collector):
    """Reads the newest metrics at most every few seconds; a lake that cannot be read is a gauge, not a failure."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._rows: list[MetricRow] = []
        self._failed = False

    def collect(self) -> Iterator[Metric]:
        """The six gauges (those without a value are absent), their ages, and why any is absent."""
        rows, failed = self._newest()
        for row in rows:
            if row.value is not None:
                yield GaugeMetricFamily(row.name, HELP.get(row.name, row.name), value=row.value)
        yield GaugeMetricFamily(
            "shopsphere_exporter_lake_error", "1 while the lake is unreadable.", value=float(failed)
        )
        ages = GaugeMetricFamily(
            "shopsphere_metric_age_seconds", "Seconds since the metric was last computed or tried.", labels=["metric"]
        )
        reasons = InfoMetricFamily("shopsphere_metric_absent", "Why a metric has no value.", labels=["metric"])
        now = datetime.now(UTC).replace(tzinfo=None)
        for row in rows:
            ages.add_metric([row.name], (now - row.computed_at).total_seconds())
            if row.value is None:
                reasons.add_metric([row.name], {"reason": row.reason or "unknown"})
        yield ages
        yield reasons

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: registering must not read the lake."""
        return iter(())

    def _newest(self) -> tuple[list[MetricRow], bool]:
        with self._lock:
            if time.monotonic() - self._read_at >= CACHE_SECONDS:
                try:
                    self._rows, self._failed = newest_metrics(self._lake), False
                except ShopSphereError:
                    self._rows, self._failed = [], True
                self._read_at = time.monotonic()
            return self._rows, self._failed


@contextmanager
def running_exporter(settings: MonitoringSettings) -> Iterator[str]:
    """Serve metrics for the time of the block; gives the address of the page.

    Raises:
        ConfigurationError: the port is taken or the address is not this machine's.
    """
    registry = CollectorRegistry()
    registry.register(LakeCollector(Lake(settings)))
    host, port = settings.exporter_host, settings.exporter_port
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(f"cannot listen on {host}:{port}: {reason}; choose another --port") from error
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
