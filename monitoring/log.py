"""Reads the prediction log for the monitoring jobs: the newest answers of a use case, and which version gave them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.metrics_table import MetricRow
from lakehouse.predictions import PREDICTIONS
from lakehouse.storage import Lake


class NotComputableError(ShopSphereError):
    """A metric has no value, for the reason in the text."""


def newest_predictions(lake: Lake, use_case: str, *, limit: int) -> pl.DataFrame:
    """The newest `limit` logged answers of a use case, newest first, one row per prediction.

    Raises:
        NotComputableError: nothing was logged for it.
    """
    if not lake.exists(PREDICTIONS):
        raise NotComputableError("no prediction was logged yet: ask a running server, then run the monitors")
    rows = lake.scan(PREDICTIONS).filter(pl.col("use_case") == use_case)
    found = rows.sort("predicted_at", descending=True, maintain_order=True).head(limit).collect()
    if found.is_empty():
        raise NotComputableError(f"no {use_case} prediction was logged yet")
    return found


def main_version(rows: pl.DataFrame) -> int:
    """The model version that gave most of the answers, the newest of those that gave as many."""
    counts = rows.group_by("model_version").len().sort("len", "model_version", descending=True)
    return int(counts.item(0, "model_version"))


def metric(
    name: str,
    value: float,
    rows: pl.DataFrame,
    *,
    model_version: int | None,
    details: Mapping[str, Any],
    computed_at: datetime,
) -> MetricRow:
    """A computed metric over the given predictions: they are its window and its count."""
    return MetricRow(
        name=name,
        value=value,
        reason=None,
        window_start=rows["predicted_at"].min(),  # type: ignore[arg-type]
        window_end=rows["predicted_at"].max(),  # type: ignore[arg-type]
        count=rows.height,
        model_version=model_version,
        computed_at=computed_at,
        details=orjson.dumps(details).decode(),
    )


def absent(name: str, reason: str, *, computed_at: datetime) -> MetricRow:
    """A metric that has no value, and why."""
    return MetricRow(
        name=name,
        value=None,
        reason=reason,
        window_start=None,
        window_end=None,
        count=None,
        model_version=None,
        computed_at=computed_at,
        details=None,
    )
