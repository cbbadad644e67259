"""What the registered models pin: the versions of tables that they were trained on."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lakehouse.pins import Pins
from training.registry import Registry
from training.registry_address import store_exists
from training.registry_file import trained_on
from training.settings import TrainingSettings

ERASED = "data_erased"
"""Tag of a model whose training data cannot be read again, with the moment since when."""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A registered version and the version of each table that it was trained on."""

    name: str
    version: int
    data_versions: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def trained_models(settings: TrainingSettings, *, quick: bool = False) -> list[TrainedModel]:
    """All registered models; none where there is no registry yet, which is not made to look.

    quick: without MLflow where that is possible; for looking only, not before files are deleted.
    """
    if not store_exists(settings.tracking_uri):
        return []
    if quick and (rows := trained_on(settings.tracking_uri)) is not None:
        return [
            TrainedModel(name=name, version=version, data_versions=json.loads(told)) for name, version, told in rows
        ]
    registry = Registry(settings)
    return [
        TrainedModel(
            name=info.name, version=info.version, data_versions=json.loads(info.tags.get("data_versions", "{}"))
        )
        for name in registry.names()
        for info in registry.versions(name)
    ]


def model_pins(models: Iterable[TrainedModel]) -> Pins:
    """By table and version: the models trained on it."""
    found: dict[str, dict[int, list[str]]] = {}
    for model in models:
        for table, version in model.data_versions.items():
            found.setdefault(table, {}).setdefault(version, []).append(str(model))
    return found


def tag_erased(settings: TrainingSettings, models: Iterable[TrainedModel], *, at: str) -> None:
    """Say of models that the data that they were trained on was erased."""
    registry = Registry(settings)
    for model in models:
        registry.tag(model.name, model.version, {ERASED: at})
