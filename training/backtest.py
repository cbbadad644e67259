"""The backtest: the recipe of a candidate and the simple baseline, fitted and tested again on earlier windows."""

from lakehouse.errors import ShopSphereError, StorageError
from lakehouse.query import SqlError
from lakehouse.query_versions import VersionError
from lakehouse.storage import Lake
from training.evidence import Window
from training.use_case import Dataset, Metrics, UseCase

WINDOWS = 2
"""Test windows before the newest one: with it three, of which a majority can be had."""
FAULTS = (StorageError, VersionError, SqlError)


def backtest(use_case: UseCase, lake: Lake, newest: Dataset, *, windows: int) -> tuple[list[Window], str]:
    """Up to `windows` windows before that of `newest`, and why there are no more of them, empty where there could be.

    Raises:
        ShopSphereError: the lake fails; a history that is too short only ends the backtest.
    """
    found: list[Window] = []
    newer, versions = newest.as_of, newest.data_versions
    for number in range(1, windows + 1):
        try:
            data = use_case.dataset(lake, window=number, versions=versions)
        except FAULTS:
            raise
        except ShopSphereError as error:
            return found, str(error)
        if data.test.is_empty() or data.as_of >= newer:
            return found, f"there is nothing to test on before {newer:%Y-%m-%d}"
        newer = data.as_of
        model, baseline = use_case.fit(data), use_case.fit_baseline(data)
        found.append(window(use_case, data, use_case.evaluate(model, data), use_case.evaluate(baseline, data), number))
    return found, ""


def window(use_case: UseCase, data: Dataset, metrics: Metrics, baseline: Metrics, number: int) -> Window:
    """A window's row, from what both models did on its test rows."""
    metric = use_case.primary_metric
    return Window(
        window=number,
        as_of=data.as_of.isoformat(),
        rows=data.test.height,
        model=metrics[metric],
        baseline=baseline[metric],
    )
