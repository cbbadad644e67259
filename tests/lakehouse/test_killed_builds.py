"""Builds that die: every table stays readable, and the next run ends as an undisturbed one."""

import os
import shutil
import signal
import subprocess
import sys

import polars as pl
import pytest
from increment_checks import KEYS, assert_same, contents, ingested_and_built, lake_at, split_into

from lakehouse.build import build
from lakehouse.errors import StorageError
from lakehouse.quarantine import by_file
from lakehouse.storage import Lake

KILLED = """
import sys
from pathlib import Path
from lakehouse.build import build
from lakehouse.errors import StorageError
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.storage import Lake
lake = Lake(Settings(var_dir=Path(sys.argv[1]), lake_root="", rows_per_bucket=4_000))
print("ready", flush=True)
for folder in sys.argv[2:]:
    ingest(lake, folder, progress=lambda sentence: print(sentence, flush=True))
    build(lake, progress=lambda sentence: print(sentence, flush=True))
"""


@pytest.fixture(scope="module")
def two_folders(tmp_path_factory, small_csvs):
    """The shop in two parts: the second brings events."""
    return split_into(small_csvs, tmp_path_factory.mktemp("two"), 2, [0, 1, 1], "events")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, two_folders):
    """Both parts in a run that nobody killed; tests only read it."""
    return ingested_and_built(lake_at(tmp_path_factory.mktemp("undisturbed")), two_folders)


@pytest.mark.parametrize("lines", [2, 6, 9, 13])
def test_a_killed_run_is_completed_by_the_next(tmp_path, two_folders, undisturbed, lines):
    """SIGKILL after so many lines of progress: every table is readable, and the next run ends as an undisturbed one."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "var"), *map(str, two_folders)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(lines):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    lake = lake_at(tmp_path / "var")
    contents(lake)
    ingested_and_built(lake, two_folders)
    assert by_file(lake).filter(pl.col("rows") != pl.col("good") + pl.col("quarantined")).is_empty()
    drop = ("bucket", "batch", "loaded_at")
    assert_same(contents(undisturbed, drop=drop), contents(lake, drop=drop))


@pytest.mark.parametrize("table", [table for table in KEYS if table.startswith("gold.")])
def test_a_table_that_was_not_committed_is_made_beside_the_others(tmp_path, write_shop, table):
    """A build that dies leaves some tables behind: the next one, of a later clock, makes all of the missing one."""
    sales = [{"transaction_id": str(day), "timestamp": f"2024-01-{day:02} 10:00:00"} for day in (8, 15)]
    later = {"transaction_id": "20", "timestamp": "2024-03-05 10:00:00"}
    lake = lake_at(tmp_path / "var")
    folders = [
        write_shop(transactions=sales),
        write_shop("later", only=("transactions",), transactions=[later]),
    ]
    expected = contents(ingested_and_built(lake, folders))
    shutil.rmtree(lake.uri(table))
    again = Lake(lake.settings)
    build(again)
    assert_same(expected, contents(again))


def test_what_a_lost_commit_told_is_missed(lake, write_shop):
    """It named the rejected rows, which no table has yet: the next build says so instead of going on without them."""
    ingested_and_built(lake, [write_shop(events=[{}, {"event_id": "2", "timestamp": "soon"}])])
    lake.commit("silver.events", lake.scan("silver.events").collect_schema(), partition_by=["bucket"], app={"batch": 9})
    with pytest.raises(StorageError, match="tells nothing of the last batch of silver"):
        build(lake)
