"""A worker's side of going live: load what the follower dropped, verify it, and keep the old where the new is bad."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpc_server.online_features import FeatureSnapshot
from grpc_server.state import ServedModel, State
from lakehouse.errors import ShopSphereError
from training import artifact
from training.campaigns import CampaignTable
from training.use_cases import get

logger = logging.getLogger(__name__)
POINTER = "current.json"
"""The file that the follower replaces by rename when anything changed."""


def read_pointer(folder: Path) -> Mapping[str, Any] | None:
    """What the workers should serve now; None before the follower's first word."""
    try:
        document: Mapping[str, Any] = json.loads((folder / POINTER).read_text())
    except FileNotFoundError:
        return None
    return document


def load_state(folder: Path, pointer: Mapping[str, Any], before: State) -> State:
    """The state that the pointer describes; what did not change is taken over from the state before.

    A model that does not load or does not give its golden answers is refused: the one before it serves on.
    """
    models = {}
    for name, entry in pointer["models"].items():
        old = before.models.get(name)
        served = old if old is not None and _same(old, entry) else _load(folder, name, entry, old)
        if served is not None:
            models[name] = served
    features = {
        table: before.features.get(table)
        if table in before.features and before.features[table].folder == folder / path
        else FeatureSnapshot(folder / path)
        for table, path in pointer["features"].items()
    }
    campaigns = CampaignTable(json.loads((folder / pointer["campaigns"]).read_text())) if pointer["campaigns"] else None
    return State(models, {table: snapshot for table, snapshot in features.items() if snapshot}, campaigns)


def _same(old: ServedModel, entry: Mapping[str, Any]) -> bool:
    return (old.version, old.alias, list(old.warnings)) == (entry["version"], entry["alias"], entry["warnings"])


def _load(folder: Path, name: str, entry: Mapping[str, Any], old: ServedModel | None) -> ServedModel | None:
    try:
        path = folder / entry["folder"]
        model = artifact.load(path)
        artifact.check_golden(path, model)  # also warms the model up
    except (ShopSphereError, OSError, ValueError, KeyError) as error:
        logger.error("refused version %s of %s: %s", entry["version"], name, error)
        return old
    return ServedModel(
        use_case=get(name),
        model=model,
        version=entry["version"],
        alias=entry["alias"],
        kind=entry["kind"],
        metrics=entry["metrics"],
        tags=entry["tags"],
        created_at=entry["created_at"],
        warnings=tuple(entry["warnings"]),
    )
