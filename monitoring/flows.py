"""The Prefect flow of monitoring: a thin wrapper over `monitor`, which runs without Prefect as well."""

from prefect import flow
from prefect.logging import get_run_logger

from lakehouse.metrics_table import MetricRow
from monitoring import run
from monitoring.settings import MonitoringSettings


@flow(name="monitor", validate_parameters=False)
def monitor_flow(settings: MonitoringSettings | None = None) -> list[MetricRow]:
    """Run the four monitoring jobs; a metric that could not be computed has no value and says why."""
    return run.monitor(settings or MonitoringSettings(), progress=get_run_logger().info)
