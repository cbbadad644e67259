"""A store that is missing, closed, slow or gone: one typed line, nothing lost, and the next run completes."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from bench.drill.store import process, s3_store
from lakehouse.build import build
from lakehouse.errors import AccessDeniedError, MissingBucketError, StorageError, UnreachableStoreError
from lakehouse.ingest import ingest
from lakehouse.storage import Lake

DEAD = "http://127.0.0.1:9"
ROWS = pl.DataFrame({"n": [1, 2, 3]})
SECRET = "Recognisable/Secret+0123456789"


def behind(proxy, settings, **changes):
    """The lake as seen through a proxy."""
    return Lake(settings.model_copy(update={"aws_endpoint_url": proxy, **changes}))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (["deny"], AccessDeniedError),
        (["drop"], UnreachableStoreError),
        (["delay", "--seconds", "30"], UnreachableStoreError),
        (["slow-down"], UnreachableStoreError),
    ],
)
@pytest.mark.parametrize("match", ["^PUT.*parquet", "^PUT.*_delta_log"])
def test_what_cannot_be_written_is_one_clear_error(s3, s3_settings, *, fault, kind, match):
    """Data file or commit: one line that names the lake, and no row; the same once the store is well again."""
    Lake(s3_settings).append("t", ROWS)
    with process("-m", "bench.drill.proxy", s3.endpoint, *fault, "--match", match) as proxy:
        ill = behind(proxy, s3_settings, s3_timeout_seconds=1)
        with pytest.raises(kind, match="cannot reach or write") as failure:
            ill.commit("t", ROWS.schema, add=ill.stage("t").write(ROWS.lazy()), app={"batch": 1})
    assert "\n" not in str(failure.value)
    well = Lake(s3_settings)
    assert well.scan("t").collect().height == 3
    well.commit("t", ROWS.schema, add=well.stage("t").write(ROWS.lazy()), app={"batch": 1})
    assert well.scan("t").collect().height == 6


@pytest.mark.parametrize(("app", "rows"), [({"batch": 1}, 6), (None, 6)])
def test_a_commit_whose_answer_got_lost_is_not_made_twice(s3, s3_settings, *, app, rows):
    """The store has it and the connection breaks: the retry finds that it is there."""
    Lake(s3_settings).append("t", ROWS)
    fault = ["lose-answer", "--match", "^PUT.*_delta_log/0.*json", "--times", "1"]
    with process("-m", "bench.drill.proxy", s3.endpoint, *fault) as proxy:
        behind(proxy, s3_settings).append("t", ROWS, app=app)
    with process("-m", "bench.drill.proxy", s3.endpoint, *fault) as proxy:
        lake = behind(proxy, s3_settings)
        lake.commit("u", ROWS.schema, add=lake.stage("u").write(ROWS.lazy()), app={"batch": 1})
    assert (Lake(s3_settings).scan("t").collect().height, Lake(s3_settings).scan("u").collect().height) == (rows, 3)


@pytest.mark.parametrize("fault", ["slow-down", "drop"])
def test_a_passing_fault_is_retried(s3, s3_settings, write_shop, fault):
    """Every request of an ingest may fail once in between, and nobody notices."""
    with process("-m", "bench.drill.proxy", s3.endpoint, fault, "--first", "20", "--times", "2") as proxy:
        assert ingest(behind(proxy, s3_settings), str(write_shop())).changed
    assert {1} == {Lake(s3_settings).scan(f"bronze.{table}").collect().height for table in ("customers", "events")}


def test_a_store_that_goes_away_loses_nothing(s3, s3_settings, write_shop):
    """Gone in the middle of ingest and of build: the next run ends as an undisturbed one."""
    for first, step in ((40, lambda lake: ingest(lake, str(write_shop()))), (120, build)):
        fault = ["drop", "--first", str(first)]
        again = pytest.raises(UnreachableStoreError, match="run the same again")
        with process("-m", "bench.drill.proxy", s3.endpoint, *fault) as proxy, again:
            step(behind(proxy, s3_settings, s3_timeout_seconds=1))
        step(Lake(s3_settings))
    lake = Lake(s3_settings)
    tables = ("bronze.transactions", "silver.transactions", "gold.interactions")
    assert [lake.scan(table).collect().height for table in tables] == [1, 1, 1]


def test_missing_bucket_dead_endpoint_and_unknown_key(s3_settings, write_shop):
    """Each has an error of its own that says what to do, from ingest as from build; raw files on S3 too."""
    shop = str(write_shop())
    missing = behind(s3_settings.aws_endpoint_url, s3_settings, lake_root="s3://no-such-bucket/lake")
    dead = behind(DEAD, s3_settings, s3_timeout_seconds=1)
    raw = Lake(dead.settings.model_copy(update={"lake_root": ""}))
    for lake, kind, say in ((missing, MissingBucketError, "create the bucket"), (dead, UnreachableStoreError, "is up")):
        for step in (lambda lake: ingest(lake, shop), build):
            with pytest.raises(kind, match=say):
                step(lake)
    with pytest.raises(UnreachableStoreError, match="s3://raw/shop"):
        ingest(raw, "s3://raw/shop")


def test_wrong_keys_are_told_apart(tmp_path):
    """A server that checks keys refuses: the error names the variables and not their values."""
    with s3_store(INITIAL_NO_AUTH_ACTION_COUNT="1") as strict:
        settings = strict.settings(tmp_path, f"s3://{strict.bucket()}/lake", aws_secret_access_key=SECRET)
        with pytest.raises(AccessDeniedError, match="AWS_SECRET_ACCESS_KEY or AWS_PROFILE") as failure:
            Lake(settings).append("t", ROWS)
    assert SECRET not in str(failure.value)


def test_no_command_prints_a_secret(s3, tmp_path, write_shop):
    """Failing commands print one line each, without the secret that they were given; nor does `repr`."""
    environment = {"AWS_ACCESS_KEY_ID": "AKIARECOGNISABLE", "AWS_SECRET_ACCESS_KEY": SECRET, "S3_TIMEOUT_SECONDS": "1"}
    environment |= {"AWS_SESSION_TOKEN": SECRET[::-1], "SHOPSPHERE_VAR": str(tmp_path), "RUST_LOG": "debug"}
    shopsphere = str(Path(sys.executable).parent / "shopsphere")
    lakes = {"missing": (s3.endpoint, "s3://no-such-bucket/lake"), "dead": (DEAD, "s3://b/lake")}
    for endpoint, root in lakes.values():
        lake = {"AWS_ENDPOINT_URL": endpoint, "LAKE_ROOT": root}
        for command in (["ingest", str(write_shop())], ["build"], ["sql", "from silver.events"]):
            done = subprocess.run(
                [shopsphere, *command], env=os.environ | environment | lake, capture_output=True, text=True, check=False
            )
            said = [line for line in done.stderr.splitlines() if not line.startswith("[")]
            assert (done.returncode, len(said)) == (1, 1)
            assert not [word for word in (SECRET, SECRET[::-1], "Traceback") if word in done.stdout + done.stderr]


def test_rows_read_lazily_fail_as_the_storage(s3, s3_settings):
    """Polars raises when rows are collected: within `failures` that is a StorageError too."""
    Lake(s3_settings).append("t", ROWS)
    with process("-m", "bench.drill.proxy", s3.endpoint, "deny", "--match", "parquet") as proxy:
        lake = behind(proxy, s3_settings)
        with pytest.raises(StorageError, match="give this user the right"), lake.failures():
            lake.scan("t").collect()
