"""The Delta table `metrics`: what the monitoring jobs computed, one row per metric and run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import polars as pl

from lakehouse.storage import Lake

METRICS = "metrics"
SCHEMA = pl.Schema(
    {
        "name": pl.String(),
        "value": pl.Float64(),
        "reason": pl.String(),
        "window_start": pl.Datetime("us"),
        "window_end": pl.Datetime("us"),
        "count": pl.Int64(),
        "model_version": pl.Int32(),
        "computed_at": pl.Datetime("us"),
        "details": pl.String(),
    }
)


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric of one run: a value, or None and the reason; window and count say what it rests on.

    `details` is JSON; `computed_at` is UTC.
    """

    name: str
    value: float | None
    reason: str | None
    window_start: datetime | None
    window_end: datetime | None
    count: int | None
    model_version: int | None
    computed_at: datetime
    details: str | None


def append_metrics(lake: Lake, rows: Sequence[MetricRow]) -> None:
    """Keep the rows of a run, in one commit."""
    lake.append(METRICS, pl.DataFrame([asdict(row) for row in rows], schema=SCHEMA))


def newest_metrics(lake: Lake) -> list[MetricRow]:
    """The newest row of each metric, by name; empty before the first run."""
    if not lake.exists(METRICS):
        return []
    newest = lake.scan(METRICS).sort("computed_at").unique("name", keep="last", maintain_order=True).sort("name")
    return [MetricRow(**row) for row in newest.collect().to_dicts()]
