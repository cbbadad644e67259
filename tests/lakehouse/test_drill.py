"""The short form of `make drill`: the same code, a few kills."""

import pytest

from bench.drill import kills
from lakehouse.settings import Settings


def test_a_run_killed_at_any_moment_is_completed_by_the_next(tmp_path):
    """Whatever the moment, tables are readable and the next run ends as an undisturbed one."""
    parts = kills.shop(tmp_path, customers=30)
    names = iter(range(100))
    lakes = lambda: Settings(var_dir=tmp_path / str(next(names)), lake_root="")  # noqa: E731
    assert kills.drill(lakes, parts, kills=1, seed=3).faults == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_shipper_killed_at_any_moment_doubles_no_prediction(tmp_path, seed):
    """The next one begins the spool again, and every batch is there once."""
    names = iter(range(100))
    lakes = lambda: Settings(var_dir=tmp_path / str(next(names)), lake_root="")  # noqa: E731
    assert kills.predictions_drill(lakes, kills=2, seed=seed).faults == []
