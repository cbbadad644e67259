"""The spool: what was written survives, and is committed exactly once."""

import subprocess
import sys

import orjson

from grpc_server.prediction_log import PredictionLog, ship
from lakehouse.predictions import append_records
from lakehouse.settings import Settings
from lakehouse.storage import Lake


def record(number):
    """A record of one answer."""
    return {
        "ids": [f"p-{number}"],
        "entity_ids": ["1"],
        "use_case": "clv",
        "model_name": "clv",
        "model_version": 1,
        "alias": "champion",
        "feature_table": "gold.customer_features",
        "feature_version": 0,
        "as_of": "2024-01-01T00:00:00",
        "predicted_at": "2024-01-02T00:00:00",
        "columns": {"clv_180d": [float(number)]},
        "request_features": [[]],
        "default_features": [["age"]],
        "warnings": [[]],
    }


def test_closed_files_are_committed_once_and_deleted(tmp_path):
    """A commit that is repeated, as after a crash between commit and deletion, adds no row."""
    lake = Lake(Settings(var_dir=tmp_path, lake_root=""))
    log = PredictionLog(tmp_path / "spool")
    log.append(orjson.dumps(record(1)))
    log.append(orjson.dumps(record(2)))
    log.close()

    def commit(records, app_id, sequence):
        append_records(lake, records, app_id=app_id, sequence=sequence)
        append_records(lake, records, app_id=app_id, sequence=sequence)

    assert ship(tmp_path / "spool", commit) == 2
    assert sorted(lake.scan("predictions").collect()["prediction_id"]) == ["p-1", "p-2"]
    assert ship(tmp_path / "spool", commit) == 0
    assert not list((tmp_path / "spool").iterdir())


def test_a_live_writers_file_is_left_alone(tmp_path):
    """Until it is closed."""
    log = PredictionLog(tmp_path)
    log.append(orjson.dumps(record(1)))
    assert ship(tmp_path, lambda *_: None) == 0
    log.close()
    assert ship(tmp_path, lambda *_: None) == 1


def test_what_a_killed_writer_left_is_shipped(tmp_path):
    """A whole line counts, one that was cut does not."""
    script = (
        "import os, sys; from pathlib import Path; from grpc_server.prediction_log import PredictionLog\n"
        'log = PredictionLog(Path(sys.argv[1])); log.append(b\'{"ids":["a"]}\')\n'
        'os.write(log._file, b\'{"ids": ["b\'); os.kill(os.getpid(), 9)'
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)  # noqa: S603
    seen = []
    assert ship(tmp_path, lambda records, *_: seen.extend(records)) == 1
    assert seen == [{"ids": ["a"]}]


def test_a_worker_imports_nothing_heavy():
    """Neither training's nor monitoring's libraries, nor the lake's."""
    heavy = ("mlflow", "prefect", "evidently", "pandas", "sklearn", "lightgbm", "implicit", "matplotlib")
    script = f"import sys, grpc_server.worker; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
