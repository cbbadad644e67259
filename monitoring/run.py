"""Runs the four monitoring jobs and appends what they found to the Delta table `metrics`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.metrics_table import MetricRow, append_metrics
from lakehouse.storage import Lake
from monitoring import drift, pricing, propensity, recommender
from monitoring.log import absent
from monitoring.settings import MonitoringSettings

Progress = Callable[[str], None] | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job and the metrics it brings."""

    metrics: tuple[str, ...]
    compute: Callable[..., list[MetricRow]]


JOBS = (
    Job(metrics=(drift.SCORE,), compute=drift.clv_drift),
    Job(metrics=(propensity.AUC, propensity.DELTA), compute=propensity.propensity_quality),
    Job(metrics=(recommender.COVERAGE, recommender.NOVELTY), compute=recommender.recommender_reach),
    Job(metrics=(pricing.VIOLATIONS,), compute=pricing.guardrail_violations),
)
METRICS = tuple(name for job in JOBS for name in job.metrics)


def monitor(settings: MonitoringSettings, *, progress: Progress = None) -> list[MetricRow]:
    """Compute all metrics over the newest logged predictions and keep them in the lake, one row each.

    A metric that cannot be computed has no value and says why; one failing job does not stop the others.

    Raises:
        StorageError: the lake cannot be written.
    """
    lake = Lake(settings)
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = [row for job in JOBS for row in _rows(job, lake, settings, now=now, progress=progress)]
    append_metrics(lake, rows)
    return rows


def _rows(job: Job, lake: Lake, settings: MonitoringSettings, *, now: datetime, progress: Progress) -> list[MetricRow]:
    try:
        rows = job.compute(lake, settings, now=now)
    except Exception as error:  # whatever stops one job must not hide the others
        reason = str(error).strip() or type(error).__name__
        rows = [absent(name, reason.splitlines()[0][:300], computed_at=now) for name in job.metrics]
    for row in rows:
        if progress:
            progress(sentence(row))
    return rows


def sentence(row: MetricRow) -> str:
    """A metric in one line for people."""
    return f"{row.name} is absent: {row.reason}" if row.value is None else f"{row.name} = {row.value:.4g}"
