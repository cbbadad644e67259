"""A small real lake, a real registry and a real prediction log to monitor."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lakehouse.predictions import append_records
from lakehouse.storage import Lake
from monitoring.settings import MonitoringSettings
from training import columns, use_cases
from training.catalogue import Catalogue
from training.constant import ConstantModel
from training.popularity_recommender import PopularityRecommender
from training.registry import Registry

AS_OF = datetime(2024, 4, 1)
Log = Callable[..., None]


@pytest.fixture(scope="session")
def registry_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store with version 1 of clv, propensity (AUC .6 at promotion) and recommender (4 products)."""
    folder = tmp_path_factory.mktemp("registry")
    registry = Registry(MonitoringSettings(var_dir=folder, mlflow_tracking_uri="", mlflow_artifact_root=""))
    names = [feature.name for feature in use_cases.get("clv").features]
    trained = {"labels_end": "2024-03-31T00:00:00", "data_versions": '{"gold.customer_features": 1}'}
    example = {name: np.zeros(2) for name in names}
    clv = ConstantModel("clv", output="clv_180d", value=100.0, defaults=dict.fromkeys(names, 0.0))
    registry.log("clv", clv, example=(example, {}), metrics={}, tags=trained)
    propensity = ConstantModel("propensity", output="prob_response", value=0.1, defaults={"age": 40.0})
    registry.log("propensity", propensity, example=({"age": np.ones(2)}, {}), metrics={"auc": 0.6}, tags={})
    recommender = PopularityRecommender(
        Catalogue(product_ids=np.arange(1, 5), popularity=np.arange(4, 0, -1)), {"catalogue_size": 4}
    )
    empty = {
        "history_product_ids": columns.object_array([np.array([1]), np.array([2])]),
        "history_weights": columns.object_array([np.array([1.0]), np.array([1.0])]),
    }
    registry.log("recommender", recommender, example=(empty, {"k": np.array([2, 2])}), metrics={}, tags={})
    return folder


@pytest.fixture
def settings(tmp_path: Path, registry_folder: Path) -> MonitoringSettings:
    """Everything in the test's folder but the registry; four rows are enough."""
    store = registry_folder / "mlflow"
    return MonitoringSettings(
        var_dir=tmp_path,
        mlflow_tracking_uri=f"sqlite:///{store / 'mlflow.db'}",
        mlflow_artifact_root=str(store / "artifacts"),
        monitor_min_rows=4,
        exporter_port=0,
    )


@pytest.fixture
def lake(settings: MonitoringSettings) -> Lake:
    """The lake of the settings, empty."""
    return Lake(settings)


@pytest.fixture
def log(lake: Lake) -> Log:
    """Logs answers as a server does: one record, columns by name."""
    sequence = 0

    def write(
        use_case: str,
        entities: Sequence[int],
        values: dict[str, list[Any]],
        *,
        version: int = 1,
        alias: str = "champion",
        as_of: datetime | None = AS_OF,
        minutes: int = 0,
    ) -> None:
        nonlocal sequence
        sequence += 1
        nothing: list[list[str]] = [[] for _ in entities]
        record = {
            "ids": [f"{use_case}-{sequence}-{row}" for row in range(len(entities))],
            "entity_ids": [str(entity) for entity in entities],
            "use_case": use_case,
            "model_name": use_case,
            "model_version": version,
            "alias": alias,
            "feature_table": "gold.product_features",
            "feature_version": 1,
            "as_of": as_of.isoformat() if as_of else None,
            "predicted_at": (datetime(2024, 5, 1) + timedelta(minutes=minutes)).isoformat(),
            "columns": values,
            "request_features": nothing,
            "default_features": nothing,
            "warnings": nothing,
        }
        append_records(lake, [record], app_id="test", sequence=sequence)

    return write
