"""The commands history, maintain and forget, on a shop with a registry, a spool, snapshots and raw copies."""

import os
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from grpc_server.follower import Follower
from grpc_server.prediction_log import PredictionLog
from grpc_server.settings import ServerSettings
from grpc_server.shipping import ship
from lakehouse.build import build
from lakehouse.erasures import ERASURES
from lakehouse.errors import MissingTableError
from lakehouse.ingest import ingest
from lakehouse.storage import Lake
from shopsphere_cli import forget as forgetting
from shopsphere_cli.main import make_app
from training.constant import ConstantModel
from training.pins import trained_models
from training.registry import Registry
from training.registry_file import trained_on
from training.score import score

WHO = "918273645"


@pytest.fixture(scope="module")
def settings(tmp_path_factory, tiny_lake):
    """A folder of its own with a copy of the small shop's lake."""
    folder = tmp_path_factory.mktemp("forget")
    shutil.copytree(tiny_lake.root, folder / "lake")
    return ServerSettings(var_dir=folder, lake_root="", mlflow_tracking_uri="", mlflow_artifact_root="")


@pytest.fixture
def run(settings, monkeypatch):
    """Run a command there; what the entry point prints as one line is raised."""
    for name, value in {"SHOPSPHERE_VAR": str(settings.var_dir), "LAKE_ROOT": "", "MLFLOW_TRACKING_URI": ""}.items():
        monkeypatch.setenv(name, value)
    app = make_app()
    return lambda *words, said="": CliRunner().invoke(app, words, input=said, catch_exceptions=False)


def train(settings):
    """Register a model of yesterday's lake as champion, as training does."""
    versions = '{"gold.customer_features": 1, "silver.transactions": 1, "silver.products": 1}'
    model = ConstantModel("clv", output="clv_180d", value=3.5, defaults={"monetary": 7.0})
    registry = Registry(settings)
    example = ({"monetary": np.array([1.0, np.nan])}, {})
    info = registry.log("clv", model, example=example, metrics={"rmse": 1.0}, tags={"data_versions": versions})
    registry.set_champion("clv", info.version)
    return registry


def answer(settings):
    """Spool an answer about the customer and another one, as a worker that was killed leaves it."""
    log = PredictionLog(settings.spool_dir)
    record = {"ids": ["p1", "p2"], "entity_ids": [WHO, "8"], "use_case": "clv", "model_name": "clv"}
    record |= {"model_version": 1, "alias": "champion", "feature_table": "gold.customer_features"}
    record |= {"feature_version": 1, "as_of": "2024-01-02T00:00:00", "predicted_at": "2024-01-02T00:00:00"}
    lists = ("request_features", "default_features", "warnings")
    record |= {name: [[], []] for name in lists}
    log.append(orjson.dumps(record | {"columns": {"clv_180d": [1.0, 2.0]}}))
    log.close()


def test_without_a_registry_none_is_made(run, settings):
    """Whoever looks at history or maintains a lake need not train."""
    assert "create table" in run("history", "silver.products").stdout
    assert "would free" in run("maintain", "--dry-run").stdout
    with pytest.raises(MissingTableError, match=r"gold\.interactions"):
        run("history", "gold.nothing")
    assert not (settings.var_dir / "mlflow").exists()


def test_a_customer_is_forgotten_everywhere(run, settings, tiny_csvs, naming):
    """Tables, spool, snapshots and raw copies; models are named and tagged, and everything goes on working."""
    copies = settings.var_dir / "raw" / "synthetic"
    shutil.copytree(tiny_csvs, copies)
    registry, follower = train(settings), Follower(settings, name="server")
    score(settings, "clv")
    score(settings, "clv")
    answer(settings)
    (settings.var_dir / "serving" / "server").mkdir(parents=True)
    follower.step()
    read = trained_on(settings.tracking_uri)
    assert (
        [(name, version) for name, version, _ in read] == [(m.name, m.version) for m in trained_models(settings)] != []
    )
    assert "clv 1" in run("history", "gold.customer_features").stdout
    assert "version 1 kept for clv 1" in run("maintain", "gold.customer_features").stdout
    assert run("forget", WHO, said="n\n").exit_code == 1
    assert {name.partition("/")[0] for name in naming(settings.var_dir)} == {"lake", "raw", "serving", "spool"}
    told = run("forget", WHO, "--yes").stdout
    assert "1 answer from the spool, 2 snapshots cleaned" in told
    assert told.count("models that were trained with them: clv 1\n") == told.count("clv 1") == 1
    assert "train again what was trained with the customer" in told
    assert naming(settings.var_dir) == []
    assert Lake(settings).scan("gold.clv_scores").collect().height > 0
    assert "data_erased" in registry.version("clv", 1).tags
    assert follower.step()
    assert ship(settings.spool_dir, lambda records, *_: None) == 1
    lake = Lake(settings)
    assert not ingest(lake, str(copies)).changed
    assert "gold.product_features" in build(lake).gold
    assert naming(settings.var_dir) == []


def test_a_registry_that_is_no_known_file_is_left_to_mlflow(tmp_path):
    """A server's address, a file that is none, a database of another layout."""
    (tmp_path / "text.db").write_text("no database, however long it may be" * 100)
    sqlite3.connect(tmp_path / "other.db").close()
    for uri in ("http://127.0.0.1:9", *(f"sqlite:///{tmp_path}/{name}.db" for name in ("text", "other", "none"))):
        assert trained_on(uri) is None


def test_history_does_not_wait_for_mlflow(settings):
    """Its import alone takes longer than all else."""
    code = "import sys; from shopsphere_cli.main import make_app; "
    code += "make_app()(['history', 'gold.customer_features'], standalone_mode=False); print('mlflow' in sys.modules)"
    environment = os.environ | {"SHOPSPHERE_VAR": str(settings.var_dir), "LAKE_ROOT": "", "MLFLOW_TRACKING_URI": ""}
    train(settings)
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert "pinned by" in printed
    assert printed.endswith("False\n")


def test_an_id_that_is_nowhere_can_be_forgotten_once(run, settings):
    """The prompt says what it means; a second time nothing is recorded, unless something came back."""
    lake = Lake(settings)

    def rows():
        return lake.scan(ERASURES).filter(pl.col("step") == "done").collect().height

    before = rows() if lake.exists(ERASURES) else 0
    asked = run("forget", "777000777", said="n\n")
    assert asked.exit_code == 1
    assert "customer 777000777 is in no table; an id so forgotten is left out of all later loads" in asked.stdout
    assert "Older versions" not in asked.stdout
    assert "nothing of the customer was found" in run("forget", "777000777", said="y\n").stdout
    assert "customer 777000777 was forgotten already" in run("forget", "777000777").stdout
    assert rows() == before + 1
    copy = settings.var_dir / "raw" / "late" / "customers.csv"
    copy.parent.mkdir(parents=True)
    copy.write_text("customer_id,signup_date\n777000777,2024-01-01\n")
    assert "1 row from generated raw files" in run("forget", "777000777").stdout
    assert rows() == before + 2


def test_a_second_erasure_that_died_is_recorded_by_the_next_run(run, settings, monkeypatch):
    """It removed the customer who had come back, and its end is written when it is run again."""
    lake = Lake(settings)
    run("forget", "777000778", said="y\n")
    lake.append("gold.segmentation_scores", pl.DataFrame({"customer_id": [777000778], "cluster_id": [1]}))
    done = lake.scan(ERASURES).filter(pl.col("step") == "done")
    before = done.collect().height

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "forget_served", die)
        with pytest.raises(KeyboardInterrupt):
            forgetting.run(settings, 777000778, progress=lambda _: None)
    assert lake.scan("gold.segmentation_scores").collect().is_empty()
    assert forgetting.run(settings, 777000778, progress=lambda _: None).nothing
    assert lake.scan(ERASURES).filter(pl.col("step") == "done").collect().height == before + 1
