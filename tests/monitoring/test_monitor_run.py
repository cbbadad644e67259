import urllib.request
from typing import Any

from lakehouse.metrics_table import newest_metrics
from lakehouse.storage import Lake
from monitoring import run
from monitoring.exporter import HELP, running_exporter
from monitoring.run import METRICS, monitor
from monitoring.settings import MonitoringSettings


def scrape(address: str) -> list[str]:
    """The lines of the exporter's page."""
    with urllib.request.urlopen(address, timeout=10) as page:
        return page.read().decode().splitlines()


def test_an_empty_lake_has_six_absent_metrics(lake: Lake, settings: MonitoringSettings) -> None:
    """Each has a row without a value that says why; nothing is 0."""
    rows = monitor(settings)
    assert list(METRICS) == [row.name for row in rows] == list(HELP)
    assert {(None, "no prediction was logged yet: ask a running server, then run the monitors")} == {
        (row.value, row.reason) for row in rows
    }
    assert sorted(METRICS) == sorted(row.name for row in newest_metrics(lake))


def test_one_failing_job_does_not_stop_the_others(settings: MonitoringSettings, log: Any) -> None:
    """A log that one job cannot read leaves the values of the others."""
    log("pricing", [1], {"something_else": [1.0]})
    log("recommender", [1], {"item_ids": [[1, 2]]})
    told: list[str] = []
    values = {row.name: row.value for row in run.monitor(settings, progress=told.append)}
    assert values["pricing_guardrail_violations"] is None
    assert values["recommender_coverage"] == 0.5
    assert "recommender_coverage = 0.5" in told


def test_the_exporter_serves_what_has_a_value(settings: MonitoringSettings, log: Any) -> None:
    """A computed metric is a gauge without labels; an absent one has an age and a reason only."""
    log("recommender", [1], {"item_ids": [[1, 2, 3]]})
    monitor(settings)
    with running_exporter(settings) as address:
        page = scrape(address)
    assert "recommender_coverage 0.75" in page
    assert not [line for line in page if line.startswith(("clv_drift_score", "recommender_novelty"))]
    assert [line for line in page if line.startswith('shopsphere_metric_age_seconds{metric="clv_drift_score"} ')]
    assert [
        line for line in page if line.startswith('shopsphere_metric_absent_info{metric="clv_drift_score",reason="no ')
    ]
    assert "shopsphere_exporter_lake_error 0.0" in page


def test_the_exporter_survives_an_unreachable_lake(settings: MonitoringSettings) -> None:
    """It goes on answering, and says that it cannot read."""
    unreachable = settings.model_copy(update={"lake_root": "s3://lake", "aws_endpoint_url": "http://127.0.0.1:9"})
    with running_exporter(unreachable) as address:
        assert "shopsphere_exporter_lake_error 1.0" in scrape(address)
