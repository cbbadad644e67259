"""The registered models and the decisions about them as rows of text, for people."""

import json
from collections.abc import Mapping
from typing import Any

from lakehouse.storage import Lake
from training import promotions
from training.gate import is_better
from training.registry import CHALLENGER, Registry, VersionInfo
from training.settings import TrainingSettings
from training.trial import percent_of
from training.use_case import UseCase
from training.use_cases import USE_CASES, get

HEADER = ("use case", "version", "alias", "kind", "fit", "metric", "model", "baseline", "windows won", "data versions")
DECISION_HEADER = ("decided at (UTC)", "decision", "candidate", "answers", "before", "model", "champion", "by", "why")


def model_rows(settings: TrainingSettings, name: str | None = None) -> list[tuple[str, ...]]:
    """One row per registered version, of one use case or of all, in the order of `HEADER`, oldest first within each.

    Raises:
        UnknownUseCaseError: there is no use case of that name.
    """
    registry = Registry(settings)
    chosen = USE_CASES if name is None else (get(name),)
    return [_row(use_case, info) for use_case in chosen for info in registry.versions(use_case.name)]


def decision_rows(settings: TrainingSettings, name: str) -> list[tuple[str, ...]]:
    """One row per decision about a use case, trials included, in the order of `DECISION_HEADER`, oldest first."""
    metric = get(name).primary_metric
    return [_decision(row, metric) for row in promotions.decisions(Lake(settings), name)]


def _decision(row: Mapping[str, Any], metric: str) -> tuple[str, ...]:
    metrics = json.loads(row["metrics"])
    ours, theirs = (metrics.get(role, {}).get(metric) for role in ("candidate", "champion"))
    return (
        f"{row['decided_at']:%Y-%m-%d %H:%M:%S}",
        row["decision"].replace("_", " "),
        str(row["candidate"]),
        str(row["from_version"] if row["decision"] == "refused" else row["version"]),
        "" if row["from_version"] is None else str(row["from_version"]),
        "" if ours is None else f"{ours:.4g}",
        "" if theirs is None else f"{theirs:.4g}",
        row["decided_by"],
        "; ".join(row["reasons"]),
    )


def _row(use_case: UseCase, info: VersionInfo) -> tuple[str, ...]:
    metric = use_case.primary_metric
    versions = json.loads(info.tags.get("data_versions", "{}"))
    return (
        info.name,
        str(info.version),
        ", ".join(_alias(info, alias) for alias in info.aliases),
        info.kind,
        info.tags.get("fit", ""),
        metric,
        _value(info, metric),
        _value(info, metric) if info.kind == "baseline" else _value(info, f"baseline_{metric}"),
        _won(use_case, info),
        ", ".join(f"{table}@{version}" for table, version in versions.items()),
    )


def _alias(info: VersionInfo, alias: str) -> str:
    if alias != CHALLENGER:
        return alias
    percent = percent_of(info)
    return f"{alias} ({f'{percent} %' if percent else 'shadow'})"


def _value(info: VersionInfo, metric: str) -> str:
    """The metric on the time holdout; of a model fitted on all labels, what its recipe had there."""
    value = _metric(info, metric)
    return "" if value is None else f"{value:.4g}"


def _metric(info: VersionInfo, name: str) -> float | None:
    return info.metrics.get(name, info.metrics.get(f"holdout_{name}"))


def _won(use_case: UseCase, info: VersionInfo) -> str:
    """In how many test windows of the backtest it beat the simple baseline, the newest one included."""
    metric = use_case.primary_metric
    earlier = [name for name in info.metrics if name.removeprefix("holdout_").startswith("window_")]
    numbers = {name.split("_")[-2] for name in earlier}
    pairs = [(metric, f"baseline_{metric}"), *((f"window_{n}_model", f"window_{n}_baseline") for n in numbers)]
    found = [tuple(_metric(info, name) for name in pair) for pair in pairs]
    known = [(ours, theirs) for ours, theirs in found if ours is not None and theirs is not None]
    return f"{sum(is_better(use_case, *pair) for pair in known)} of {len(known)}" if known else ""
