"""What tests of all layers share."""

import fcntl
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from grpc_server.settings import ServerSettings
from lakehouse.build import build, label_features
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.sources import synthetic
from lakehouse.storage import Lake

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
UNMISTAKABLE = 918_273_645
"""The id of the small shop's best customer: where these digits stand, they mean that customer."""


def _named(folder: Path) -> None:
    """Call the best customer so in the shop's files."""
    sales = pl.read_csv(folder / "transactions.csv", infer_schema=False)
    best = sales.group_by("customer_id").len().sort("len", "customer_id")["customer_id"][-1]
    for table in ("customers", "events", "transactions"):
        rows = pl.read_csv(folder / f"{table}.csv", infer_schema=False)
        rows.with_columns(pl.col("customer_id").replace(best, str(UNMISTAKABLE))).write_csv(folder / f"{table}.csv")


def _content(path: Path) -> bytes:
    """What a file says, unpacked; of predictions about products, nothing."""
    if path.suffix == ".parquet":
        rows = pl.read_parquet(path, hive_partitioning=False)
        if "feature_table" in rows.columns:
            rows = rows.filter(pl.col("feature_table") != "gold.product_features")
        return repr(rows.to_dicts()).encode()
    if path.suffix == ".npy":
        return repr(np.load(path).tolist()).encode()
    if zipfile.is_zipfile(path):
        with np.load(path, allow_pickle=False) as arrays:
            return repr([array.tolist() for array in arrays.values()]).encode()
    return path.read_bytes()


@pytest.fixture(scope="session")
def naming():
    """Finds the files under a folder that name the unmistakable customer, however they are packed."""

    def find(folder: Path) -> list[str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [str(path.relative_to(folder)) for path in files if str(UNMISTAKABLE).encode() in _content(path)]

    return find


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Gives a folder that is made once for all processes of the run, which only read it: who comes later waits."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a process left whose making failed
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def tiny_csvs(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The five CSVs of a small generated shop of 500 days."""

    def make(folder: Path) -> None:
        synthetic.write(folder, customers=500, products=40)
        _named(folder)

    return made_once("tiny_csvs", make)


@pytest.fixture(scope="session")
def tiny_lake(made_once: Callable[[str, Callable[[Path], object]], Path], tiny_csvs: Path) -> Lake:
    """The small shop, ingested and built; tests only read it."""

    def lake_in(folder: Path) -> Lake:
        return Lake(Settings(var_dir=folder, lake_root=""))

    def make(folder: Path) -> None:
        lake = lake_in(folder)
        ingest(lake, str(tiny_csvs))
        build(lake)
        for table in ("gold.customer_features", "gold.product_features"):
            label_features(lake, table)

    return lake_in(made_once("tiny_lake", make))


@pytest.fixture(scope="session")
def new_server_settings():
    """Makes settings of a server on free ports, all in a folder, whatever the environment says."""

    def make(folder: Path, **values: Any) -> ServerSettings:
        own = {"lake_root": "", "mlflow_tracking_uri": "", "mlflow_artifact_root": "", "grpc_port": 0, "rest_port": 0}
        return ServerSettings(var_dir=folder, **(own | values))

    return make
