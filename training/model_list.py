"""The registered models as rows of text, for people: the main metric beside the simple baseline's."""

import json

from training.registry import Registry, VersionInfo
from training.settings import TrainingSettings
from training.use_case import UseCase
from training.use_cases import USE_CASES

HEADER = ("use case", "version", "alias", "kind", "fit", "metric", "model", "baseline", "data versions")


def model_rows(settings: TrainingSettings) -> list[tuple[str, ...]]:
    """One row per registered version, in the order of `HEADER`, oldest first within a use case."""
    registry = Registry(settings)
    return [_row(use_case, info) for use_case in USE_CASES for info in registry.versions(use_case.name)]


def _row(use_case: UseCase, info: VersionInfo) -> tuple[str, ...]:
    metric = use_case.primary_metric
    versions = json.loads(info.tags.get("data_versions", "{}"))
    return (
        info.name,
        str(info.version),
        ", ".join(info.aliases),
        info.kind,
        info.tags.get("fit", ""),
        metric,
        _value(info, metric),
        _value(info, metric) if info.kind == "baseline" else _value(info, f"baseline_{metric}"),
        ", ".join(f"{table}@{version}" for table, version in versions.items()),
    )


def _value(info: VersionInfo, metric: str) -> str:
    """The metric on the time holdout; of a model fitted on all labels, what its recipe had there."""
    value = info.metrics.get(metric, info.metrics.get(f"holdout_{metric}"))
    return "" if value is None else f"{value:.4g}"
