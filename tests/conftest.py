"""What tests of all layers share."""

from pathlib import Path

import pytest

from lakehouse.build import build, label_features
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.sources import synthetic
from lakehouse.storage import Lake


@pytest.fixture(scope="session")
def tiny_csvs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five CSVs of a small generated shop of 500 days."""
    folder = tmp_path_factory.mktemp("tiny_csvs")
    synthetic.write(folder, customers=500, products=40)
    return folder


@pytest.fixture(scope="session")
def tiny_lake(tmp_path_factory: pytest.TempPathFactory, tiny_csvs: Path) -> Lake:
    """The small shop, ingested and built; tests only read it."""
    lake = Lake(Settings(var_dir=tmp_path_factory.mktemp("tiny_lake"), lake_root=""))
    ingest(lake, str(tiny_csvs))
    build(lake)
    label_features(lake)
    return lake
