"""CLV drift by Evidently: whether customers and answers are still like those that the model was trained on."""

import os
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.metrics_table import MetricRow
from lakehouse.storage import Lake
from monitoring.log import NotComputableError, main_version, metric, newest_predictions
from monitoring.settings import MonitoringSettings
from training import tabular, use_cases
from training.registry import Registry, VersionInfo
from training.use_case import Model

SCORE = "clv_drift_score"
REPORT = "clv_drift.html"
LABEL_DAYS = 90
"""Length of training labels where the model does not say its own."""
REFERENCE_ROWS = 10_000

Columns = Mapping[str, np.ndarray[Any, Any]]


class EvidentlyError(ShopSphereError):
    """Evidently's result does not have the shape that this version of it is known for."""


def clv_drift(lake: Lake, settings: MonitoringSettings, *, now: datetime) -> list[MetricRow]:
    """The share of drifted columns (inputs and answer), and an HTML report beside it.

    Compared are the newest training rows of the version that gave most of the newest answers, and those answers, one
    per customer. A column drifts when Evidently's default test for its size says so.

    Raises:
        NotComputableError: fewer predictions or training rows than `monitor_min_rows`.
    """
    log = newest_predictions(lake, "clv", limit=settings.monitor_window_rows)
    version = main_version(log)
    rows = log.filter(pl.col("model_version") == version).unique("entity_id", keep="first", maintain_order=True)
    _enough(rows.height, settings, f"customers answered by version {version} of 'clv'")
    registry = Registry(settings)
    info = registry.version("clv", version)
    model = registry.load(info)
    trained_on = training_rows(lake, info, model)
    _enough(trained_on.height, settings, f"rows that version {version} of 'clv' was trained on")
    reference, current = _columns(model, trained_on, None), _columns(model, rows, "clv_180d")
    path = settings.reports_dir / REPORT
    drifted, columns = compare(reference, current, report=path)
    details = {
        "drifted": drifted,
        "columns": columns,
        "reference_rows": trained_on.height,
        "reference_as_of": str(trained_on.item(0, "as_of")),
        "report": str(path),
    }
    return [metric(SCORE, len(drifted) / columns, rows, model_version=version, details=details, computed_at=now)]


def training_rows(lake: Lake, info: VersionInfo, model: Model) -> pl.DataFrame:
    """The newest rows that the version learned from, read at the Delta version that its tags pin."""
    table = "gold.customer_features"
    pinned = orjson.loads(info.tags.get("data_versions", "{}")).get(table)
    if "labels_end" not in info.tags:
        raise NotComputableError(f"version {info.version} of 'clv' does not say what it was trained on: train again")
    label = timedelta(days=int(model.params.get("label_days", LABEL_DAYS)))
    newest = datetime.fromisoformat(info.tags["labels_end"]) - label
    rows = lake.scan(table, pinned).filter(pl.col("as_of") <= newest)
    found = rows.filter(pl.col("as_of") == pl.col("as_of").max()).collect()
    return found.sample(min(REFERENCE_ROWS, found.height), seed=0)


def compare(reference: Columns, current: Columns, *, report: Path) -> tuple[list[str], int]:
    """The names of the drifted columns and how many were compared; writes the report for people.

    Raises:
        EvidentlyError: Evidently answered in another shape than expected.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Evidently's own dependencies warn about each other
        import pandas as pd
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        definition = DataDefinition(numerical_columns=list(reference))
        frames = [Dataset.from_pandas(pd.DataFrame(dict(c)), data_definition=definition) for c in (current, reference)]
        result = Report([DataDriftPreset()]).run(*frames)
        report.parent.mkdir(parents=True, exist_ok=True)
        result.save_html(str(report))
    return parse(result.dict(), list(reference))


def parse(result: Mapping[str, Any], columns: list[str]) -> tuple[list[str], int]:
    """The drifted columns in Evidently's result, checked against its own count of them."""
    values = {str(entry.get("metric_name", "")).split("(")[0]: entry["value"] for entry in result.get("metrics", [])}
    drifts = {
        entry["config"]["column"]: _drifted(entry)
        for entry in result.get("metrics", [])
        if str(entry.get("metric_name", "")).startswith("ValueDrift(")
    }
    drifted = [name for name in columns if drifts.get(name)]
    if set(drifts) != set(columns) or values.get("DriftedColumnsCount", {}).get("count") != len(drifted):
        raise EvidentlyError("Evidently's result has an unknown shape: install the versions of requirements.lock")
    return drifted, len(columns)


def _drifted(entry: Mapping[str, Any]) -> bool:
    """P-values drift below the threshold, distances above it."""
    value, threshold = float(entry["value"]), float(entry["config"]["threshold"])
    is_p_value = str(entry["config"]["method"]).endswith("p_value")
    return value < threshold if is_p_value else value >= threshold


def _columns(model: Model, rows: pl.DataFrame, answer: str | None) -> dict[str, np.ndarray[Any, Any]]:
    """The model's inputs with its defaults where unknown, and its answer: the logged one, or what it gives now."""
    names = [feature.name for feature in use_cases.get("clv").features]
    present = [name for name in names if name in rows.columns]
    inputs = tabular.to_columns(rows, present)
    blank = np.full(rows.height, np.nan)
    filled = {
        name: np.where(np.isnan(inputs.get(name, blank)), model.defaults.get(name, 0.0), inputs.get(name, blank))
        for name in names
    }
    given = rows[answer].cast(pl.Float64).to_numpy() if answer else model.predict(filled, {})["clv_180d"]
    return {**filled, "clv_180d": np.asarray(given, np.float64)}


def _enough(count: int, settings: MonitoringSettings, what: str) -> None:
    if count < settings.monitor_min_rows:
        raise NotComputableError(f"{count} {what}; needed are {settings.monitor_min_rows} (MONITOR_MIN_ROWS)")
