"""Propensity against what happened: the AUC of logged probabilities once the campaign's window has passed."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from lakehouse.metrics_table import MetricRow
from lakehouse.storage import Lake
from monitoring.log import NotComputableError, absent, metric, newest_predictions
from monitoring.settings import MonitoringSettings
from training.registry import Registry

AUC = "propensity_auc"
DELTA = "propensity_auc_delta"
RESAMPLES = 200
Array = np.ndarray[Any, Any]


def propensity_quality(lake: Lake, settings: MonitoringSettings, *, now: datetime) -> list[MetricRow]:
    """AUC of the newest model version with enough known outcomes, and its difference to the AUC at promotion.

    What a canary answers is not looked at: alerts are about the champion.

    Raises:
        NotComputableError: too few logged predictions have a known outcome, or all have the same.
    """
    log = newest_predictions(lake, "propensity", limit=settings.monitor_window_rows)
    log = log.filter(pl.col("alias").ne_missing("challenger"))
    rows = _version_with_outcomes(with_outcomes(lake, log), minimum=settings.monitor_min_rows)
    version = int(rows.item(0, "model_version"))
    value = auc(rows)
    low, high = interval(rows)
    details = {"interval_95": [low, high], "responses": int(rows["responded"].sum()), "logged": log.height}
    row = metric(AUC, value, rows, model_version=version, details=details, computed_at=now)
    return [row, _delta(row, value, settings, rows)]


def with_outcomes(lake: Lake, log: pl.DataFrame) -> pl.DataFrame:
    """The newest prediction per customer, campaign and model version whose outcome is known by now, with `responded`.

    An exposure counts only when it came at or after the prediction's `as_of`: before it, the model could have seen it.
    """
    outcomes = (
        lake.scan("gold.campaign_exposures")
        .filter(pl.col("responded").is_not_null())
        .select(
            entity_id=pl.col("customer_id").cast(pl.String),
            campaign_id=pl.col("campaign_id").cast(pl.String),
            exposed_at=pl.col("as_of"),
            responded=pl.col("responded"),
        )
        .collect()
    )
    return (
        log.filter(pl.col("prob_response").is_not_null())
        .join(outcomes, on=["entity_id", "campaign_id"])
        .filter(pl.col("exposed_at") >= pl.col("as_of"))
        .sort("exposed_at")
        .unique(["prediction_id"], keep="first", maintain_order=True)
        .sort("predicted_at", descending=True, maintain_order=True)
        .unique(["entity_id", "campaign_id", "model_version"], keep="first", maintain_order=True)
    )


def auc(rows: pl.DataFrame) -> float:
    """The chance that a responder was scored above a non-responder, ties counting half (Mann, Whitney 1947)."""
    return _auc(rows["prob_response"].to_numpy(), rows["responded"].to_numpy() == 1)


def interval(rows: pl.DataFrame) -> tuple[float, float]:
    """The 95 % bootstrap interval of the AUC."""
    score, responded = rows["prob_response"].to_numpy(), rows["responded"].to_numpy() == 1
    random = np.random.default_rng(0)
    draws = (random.integers(0, len(score), len(score)) for _ in range(RESAMPLES))
    values = [_auc(score[draw], responded[draw]) for draw in draws if 0 < responded[draw].sum() < len(draw)]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _auc(score: Array, responded: Array) -> float:
    ranks = pl.Series(score).rank("average").to_numpy()
    positive = int(responded.sum())
    above = ranks[responded].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(score) - positive)))


def _version_with_outcomes(rows: pl.DataFrame, *, minimum: int) -> pl.DataFrame:
    for version in rows["model_version"].unique().sort(descending=True):
        own = rows.filter(pl.col("model_version") == version)
        if own.height >= minimum and own["responded"].n_unique() == 2:
            return own
    raise NotComputableError(
        f"{rows.height} logged propensity predictions have a known outcome; needed are {minimum} of one model version, "
        "responders and others among them"
    )


def _delta(row: MetricRow, value: float, settings: MonitoringSettings, rows: pl.DataFrame) -> MetricRow:
    """The AUC less that at promotion: the holdout's, which a refit version keeps as `holdout_auc`."""
    info = Registry(settings).version("propensity", row.model_version or 0)
    before = info.metrics.get("holdout_auc", info.metrics.get("auc"))
    if before is None:
        reason = f"version {info.version} of 'propensity' has no metric 'auc' or 'holdout_auc' in the registry"
        return absent(DELTA, reason, computed_at=row.computed_at)
    return metric(
        DELTA,
        value - before,
        rows,
        model_version=info.version,
        details={"auc": value, "auc_at_promotion": before},
        computed_at=row.computed_at,
    )
