"""The demo of a second shop leaves the first one's lake alone."""

import shutil
from pathlib import Path

import pytest

from grpc_server.settings import ServerSettings
from lakehouse.errors import ConfigurationError
from lakehouse.ingest import ingest, offered
from lakehouse.storage import Lake
from shopsphere_cli.demo_place import with_place


@pytest.fixture
def first(tmp_path, monkeypatch, tiny_csvs):
    """The folder of a shop that is in `var` already, where nothing says where to put another."""
    monkeypatch.chdir(tmp_path)
    for name in ("SHOPSPHERE_VAR", "LAKE_ROOT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    folder = str(shutil.copytree(tiny_csvs, tmp_path / "first"))
    ingest(Lake(ServerSettings()), folder)
    return folder


def place(source):
    """The folder that the demo takes for a source."""
    return str(with_place(ServerSettings(), source).var_dir)


def test_the_same_shop_stays_where_it_is(first):
    """However its folder is written."""
    assert [place(first), place(f"{Path(first).name}/")] == ["var", "var"]


def test_another_shop_gets_a_folder_of_its_own(first):
    """Named after its source; two folders of one name get two."""
    assert [place("synthetic"), place("s3://bucket/May 2024/")] == ["var-synthetic", "var-May-2024"]
    other = shutil.copytree(first, "other/first")
    assert place(other) == "var-first"
    ingest(Lake(with_place(ServerSettings(), other)), other)
    assert [place(other), place("third/first")] == ["var-first", "var-first-2"]
    assert offered(Lake(ServerSettings())) == [first]


@pytest.mark.parametrize("name", ["SHOPSPHERE_VAR", "LAKE_ROOT", "MLFLOW_TRACKING_URI"])
def test_a_place_that_was_named_is_not_left(first, monkeypatch, name):
    """It is refused with the setting to change."""
    monkeypatch.setenv(name, {"SHOPSPHERE_VAR": "var", "LAKE_ROOT": "var/lake"}.get(name, "http://127.0.0.1:9"))
    assert place(first) == "var"
    with pytest.raises(ConfigurationError, match=f"holds {first}: unset {name}, or name another place, for synthetic"):
        place("synthetic")
