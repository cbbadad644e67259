"""Tables that are kept open show what others commit, and what was read before stays as it was."""

from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from lakehouse.errors import ConfigurationError, MissingTableError
from lakehouse.settings import Settings
from lakehouse.storage import Lake

ROWS = pl.DataFrame({"a": [1]})


@pytest.fixture
def other(lake):
    """Somebody else's lake in the same folder."""
    return Lake(lake.settings)


def test_the_newest_version_is_that_of_whoever_wrote_last(lake, other):
    """Whoever asks, and whoever had the table open."""
    for number, writer in enumerate([lake, other, other, lake], start=1):
        writer.append("t", ROWS)
        assert lake.version("t") == other.version("t") == number
    assert lake.look(["t", "absent"]) == {"t": 4}


def test_rows_asked_for_before_a_commit_are_those_of_then(lake, other):
    """However late they are read, and though the newest version was asked for meanwhile."""
    lake.append("t", ROWS)
    before = lake.scan("t")
    other.append("t", ROWS)
    assert lake.version("t") > 1
    assert lake.scan("t").collect().height == 2
    assert before.collect().height == 1


def test_a_log_that_a_checkpoint_replaced_is_read_anew(lake, other):
    """`forget` leaves no older commit."""
    lake.append("t", ROWS)
    other.append("t", ROWS)
    table = DeltaTable(lake.uri("t"))
    table.create_checkpoint()
    for commit in Path(lake.uri("t"), "_delta_log").glob("*.json"):
        commit.unlink()
    assert lake.version("t") == table.version()
    assert lake.scan("t").collect().height == 2


def test_a_table_that_is_gone_is_missing(lake, other):
    """It was open, and what it names is not there."""
    lake.append("t", ROWS)
    for file in sorted(Path(lake.uri("t")).rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    with pytest.raises(MissingTableError):
        lake.version("t")


@pytest.mark.parametrize("name", ["my shop", "Größe & Co.", "50 'off' {all}; `now`"])
def test_a_lake_may_be_in_a_folder_of_almost_any_name(tmp_path, name):
    """Delta percent-encodes it, and its files are found all the same."""
    lake = Lake(Settings(var_dir=tmp_path / name, lake_root=""))
    rows = pl.DataFrame({"a": [1, 2], "b": ["x y", "z"]})
    lake.commit("t", rows.schema, add=lake.stage("t", partition_by=["b"]).write(rows.lazy()), partition_by=["b"])
    lake.append("u", rows)
    lake.delete("u", "a = 1")
    assert lake.scan("t").filter(b="x y").collect()["a"].to_list() == [1]
    assert lake.read_files("t", lake.files("t")).collect()["a"].sort().to_list() == [1, 2]
    assert lake.scan("u").collect().rows() == [(2, "z")]
    assert [len(lake.history(table)) for table in ("t", "u")] == [2, 3]
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a [b]", "50%", "month=5", "back\\slash", "a|b", "a^b", "a#b", "a?"])
def test_a_folder_that_delta_cannot_read_is_refused(tmp_path, name):
    """Before anything is written, and with what to do."""
    with pytest.raises(ConfigurationError, match="set VAR_DIR or LAKE_ROOT to another"):
        Lake(Settings(var_dir=tmp_path / name, lake_root=""))
    assert not (tmp_path / name).exists()
