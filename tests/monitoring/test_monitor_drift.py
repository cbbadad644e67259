import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lakehouse.storage import Lake
from monitoring.drift import EvidentlyError, clv_drift, parse
from monitoring.log import NotComputableError
from monitoring.settings import MonitoringSettings
from training import use_cases

NOW = datetime(2024, 6, 1)
NAMES = [feature.name for feature in use_cases.get("clv").features]


@pytest.fixture
def trained_on(lake: Lake) -> dict[str, list[float]]:
    """The 120 rows that version 1 was trained on, and later ones that it was not."""
    random = np.random.default_rng(0)
    values = {name: random.normal(50.0, 10.0, 120).tolist() for name in NAMES}
    for as_of, factor in ((datetime(2023, 12, 31), 1.0), (datetime(2024, 3, 30), 1000.0)):
        rows = {name: (np.array(column) * factor).tolist() for name, column in values.items()}
        lake.append("gold.customer_features", pl.DataFrame({"customer_id": range(120), "as_of": as_of, **rows}))
    return values


def test_shifted_columns_are_counted(
    lake: Lake, settings: MonitoringSettings, log: Any, trained_on: dict[str, list[float]]
) -> None:
    """Two inputs moved, the others and the answer did not: 2 of 22 columns drifted, and a report shows them."""
    moved = {name: [10.0 * value for value in trained_on[name]] for name in ("monetary", "tx_count")}
    log("clv", range(120), {**trained_on, **moved, "clv_180d": [100.0] * 120})
    (row,) = clv_drift(lake, settings, now=NOW)
    details = json.loads(row.details or "")
    assert details["drifted"] == ["tx_count", "monetary"]
    assert 2 / (len(NAMES) + 1) == row.value
    assert (row.count, row.model_version, details["reference_as_of"]) == (120, 1, "2023-12-31 00:00:00")
    assert "<html" in Path(details["report"]).read_text()[:1000]


def test_a_customer_asked_often_counts_once(
    lake: Lake, settings: MonitoringSettings, log: Any, trained_on: dict[str, list[float]]
) -> None:
    """Too few different customers are too few, however often they were asked."""
    some = {name: column[:3] for name, column in trained_on.items()}
    for minutes in range(3):
        log("clv", range(3), {**some, "clv_180d": [100.0] * 3}, minutes=minutes)
    with pytest.raises(NotComputableError, match="3 customers answered by version 1 of 'clv'; needed are 4"):
        clv_drift(lake, settings, now=NOW)


def test_an_unknown_result_of_evidently_fails_loudly() -> None:
    """Keys that changed with a release are an error, never a score."""
    with pytest.raises(EvidentlyError, match="unknown shape"):
        parse({"metrics": [{"metric_name": "DriftedColumnsCount()", "value": {"count": 0.0}}]}, ["age"])
