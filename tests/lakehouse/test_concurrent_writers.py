"""Many at once on one lake: every row is there once, and of two that do the same one wins."""

import subprocess
import sys

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bench.drill.writers import drill
from lakehouse.build import build
from lakehouse.errors import ConcurrentBuildError
from lakehouse.gold.build import build_gold
from lakehouse.ingest import ingest
from lakehouse.predictions import append_records
from lakehouse.silver.build import build_silver
from lakehouse.storage import Lake

ROWS = pl.DataFrame({"n": [1, 2]})


def test_no_row_is_lost_or_doubled_between_processes(either_settings):
    """Four processes commit five times each at once: versions have no gap, every row is there once."""
    outcome = drill(either_settings, writers=4, commits=5)
    assert outcome.faults == []
    assert (outcome.commits, outcome.rows) == (20, 200)


def test_a_commit_that_rests_on_an_old_version_fails_where_another_did_the_same(lake):
    """Under the same application id one wins; under another both are there; the loser's files belong to nothing."""
    lake.append("t", ROWS)
    base = lake.version("t")
    mine, theirs, other = (lake.stage("t").write(ROWS.lazy()) for _ in range(3))
    lake.commit("t", ROWS.schema, add=theirs, app={"batch": 1}, base=base)
    lake.commit("t", ROWS.schema, add=other, app={"other": 1}, base=base)
    with pytest.raises(ConcurrentBuildError, match="run this again"):
        lake.commit("t", ROWS.schema, add=mine, app={"batch": 1}, base=base)
    paths = {file.path for file in lake.files("t")}
    assert (theirs[0].path in paths, other[0].path in paths, mine[0].path in paths) == (True, True, False)


@pytest.mark.parametrize("remove_all", [True, False])
def test_files_that_are_gone_cannot_be_removed_again(lake, remove_all):
    """Two that replace the same files at once would double the rows: the second fails."""
    lake.append("t", ROWS)
    base, old = lake.version("t"), lake.files("t")
    first, second = (lake.stage("t").write(ROWS.lazy()) for _ in range(2))
    remove = None if remove_all else old
    lake.commit("t", ROWS.schema, add=first, remove=remove, app={"a": 1}, base=base)
    with pytest.raises(ConcurrentBuildError):
        lake.commit("t", ROWS.schema, add=second, remove=remove, app={"b": 1}, base=base)
    assert ROWS.height == lake.scan("t").collect().height


INGEST = """
import sys
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.storage import Lake
print("ready", flush=True)
sys.stdin.readline()
ingest(Lake(Settings()), sys.argv[1], progress=print)
"""


def test_a_file_offered_twice_at_once_is_there_once(lake, write_shop):
    """Of three ingests of the same folder one commits each file; the others say that it is there already."""
    command = [sys.executable, "-c", INGEST, str(write_shop())]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, env=lake.settings.environment(), **pipes) for _ in range(3)]
    for process in running:
        process.stdout.readline()
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum(text.count(": 1 row (") for text in said) == 5
    assert sum(text.count("there already") for text in said) == 10
    assert {lake.scan(f"bronze.{table}").collect().height for table in ("customers", "events")} == {1}


def test_of_two_builds_of_the_same_batch_one_wins(lake, write_shop):
    """The slower one stops with one error and leaves nothing, in silver or beside it; the next build has no work."""
    ingest(lake, str(write_shop(transactions=[{}, {"transaction_id": "no number"}])))

    def overtaken(function, pieces):
        split = [function(piece) for piece in pieces]
        if not lake.exists("silver.customers"):
            build(Lake(lake.settings))
        return split

    with pytest.raises(ConcurrentBuildError, match=r"silver\.customers was changed by another run"):
        build_silver(lake, run=overtaken)
    assert build(lake).gold == {}
    assert dict(lake.scan("silver.quarantine").group_by("table").len().collect().iter_rows()) == {"transactions": 1}
    assert lake.scan("silver.checks").collect().is_duplicated().sum() == 0


def test_a_gold_build_that_was_overtaken_looks_again(tmp_path, lake, write_shop):
    """It finds nothing left to do, and the tables are those of one build."""
    ingest(lake, str(write_shop()))

    def overtaken(function, tasks):
        done = [function(task) for task in tasks]
        if not lake.exists("gold.customer_features") and lake.exists("silver.customer_history"):
            build(Lake(lake.settings))
        return done

    assert build(lake, run=overtaken).gold == {}
    alone = Lake(lake.settings.model_copy(update={"var_dir": tmp_path / "alone"}))
    ingest(alone, str(write_shop()))
    build(alone)
    for table in ("gold.customer_features", "gold.interactions", "gold.product_features"):
        assert_frame_equal(alone.scan(table).collect(), lake.scan(table).collect(), check_row_order=False)


def test_a_sequence_of_predictions_is_appended_once(lake):
    """A second shipper of the same sequence appends nothing, whatever it knew before."""
    record = {"ids": ["p1"], "use_case": "clv", "entity_ids": ["7"], "model_name": "clv", "model_version": 1}
    record |= {"alias": "champion", "feature_table": "f", "feature_version": 0, "as_of": "2024-01-01T00:00:00"}
    record |= {"predicted_at": "2024-01-02T00:00:00+00:00", "columns": {"clv_180d": [1.0]}}
    record |= {name: [[]] for name in ("request_features", "default_features", "warnings")}
    late = Lake(lake.settings)
    assert [append_records(each, [record], app_id="worker", sequence=0) for each in (lake, late)] == [1, 0]
    assert append_records(late, [record], app_id="worker", sequence=1) == 1
    assert lake.scan("predictions").collect().height == 2


def test_what_silver_gets_while_gold_looks_comes_with_the_next_build(tmp_path, lake, write_shop, monkeypatch):
    """Gold records no more of silver than the rows that it was made of, whatever comes between two of its looks."""
    first, more = write_shop(), write_shop("more", only=(), transactions=[{"transaction_id": "2", "quantity": "5"}])
    ingest(lake, str(first))
    build(lake)
    look = Lake.look

    def overtaken(self, tables):
        found = look(self, tables)
        monkeypatch.undo()
        ingest(lake, str(more))
        build_silver(Lake(lake.settings))
        return found

    monkeypatch.setattr(Lake, "look", overtaken)
    build_gold(Lake(lake.settings), run=map)
    build(lake)
    alone = Lake(lake.settings.model_copy(update={"var_dir": tmp_path / "alone"}))
    for folder in (first, more):
        ingest(alone, str(folder))
    build(alone)
    for table in ("gold.customer_features", "gold.interactions", "gold.product_features"):
        assert_frame_equal(alone.scan(table).collect(), lake.scan(table).collect(), check_row_order=False)
