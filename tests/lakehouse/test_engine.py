"""The engine: the tasks of a build on a real Dask scheduler and worker processes give the tables of one process."""

import os
import signal
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from lakehouse.build import build, label_features
from lakehouse.contracts import REQUIRED
from lakehouse.engine import engine, packed, work
from lakehouse.errors import ConfigurationError, EngineError
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver.split import Dimensions, Piece, split
from lakehouse.sources import synthetic
from lakehouse.storage import Lake

BUILT = [f"silver.{table}" for table in (*REQUIRED, "customer_history", "quarantine", "checks", "changes")]
BUILT += [
    f"gold.{table}"
    for table in (
        "customer_features",
        "customer_totals",
        "product_features",
        "product_weeks",
        "campaign_exposures",
        "interactions",
    )
]
START = "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); from distributed.cli.dask_{} import main; main()"
DIES = """
import os, signal
from distributed.diagnostics.plugin import WorkerPlugin

class Dies(WorkerPlugin):
    def transition(self, key, start, finish, **kwargs):
        if str(key).startswith({task!r}) and finish == {finish!r}:
            os.kill(os.getpid(), signal.SIGKILL)

async def dask_setup(worker):
    await worker.plugin_add(Dies())
"""
"""A worker's end by SIGKILL: when a task of a name starts, or when it has staged its files and nobody knows of it."""


@contextmanager
def dask(program, *arguments, until, python=(), path="", **environment):
    """A Dask process on loopback; gives it and what follows `until` in its log."""
    command = [sys.executable, *python, "-c", START.format(program), path, "--host=127.0.0.1", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        log = iter(process.stderr)
        line = next(line for line in log if until in line)
        yield process, line.rpartition(until)[2].strip()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def scheduler(**environment):
    """A scheduler on a free port."""
    return dask("scheduler", "--port=0", "--no-dashboard", until="Scheduler at:", **environment)


def worker(address, folder, *arguments, **options):
    """A worker process of one thread, which no nanny starts again."""
    fixed = ("--nworkers=1", "--nthreads=1", "--no-nanny", "--no-dashboard", f"--local-directory={folder}")
    return dask("worker", address, *fixed, *arguments, until="Registered to:", **options)


def lake_on(bronze, folder, address=""):
    """A lake of some buckets with the bronze of another, whose tasks run on the cluster at an address."""
    (folder / "lake").mkdir(parents=True)
    (folder / "lake" / "bronze").symlink_to(bronze.settings.var_dir / "lake" / "bronze")
    cluster = address.replace("tcp://", "dask://")
    return Lake(Settings(var_dir=folder, lake_root="", rows_per_bucket=1_000, engine=cluster))


def built(lake):
    """Build all that analysts and training need, where the lake's settings say."""
    with engine(lake.settings) as run:
        build(lake, run=run)
        label_features(lake, "gold.customer_features", run=run)
    return lake


def assert_same_tables(left, right):
    """Every row, exact but for floats: 1e-9 relative."""
    for table in BUILT:
        frames = [lake.scan(table).collect() for lake in (left, right)]
        keys = [name for name, dtype in frames[0].schema.items() if not dtype.is_float()]
        assert_frame_equal(*(frame.sort(keys) for frame in frames), rel_tol=1e-9, abs_tol=0)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A small shop, built in this process."""
    folder = tmp_path_factory.mktemp("here")
    synthetic.write(folder / "raw", customers=100, products=20, days=200, seed=1)
    bronze = Lake(Settings(var_dir=folder / "bronze", lake_root=""))
    ingest(bronze, str(folder / "raw"))
    return built(lake_on(bronze, folder / "built"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with one worker."""
    folder = tmp_path_factory.mktemp("worker")
    with scheduler() as (_, address), worker(address, folder):
        yield address


def test_two_workers_give_the_tables_of_one_process(tmp_path, here, cluster):
    """Every table is equal, and both workers had their share."""
    with worker(cluster, tmp_path):
        assert_same_tables(here, built(lake_on(here, tmp_path / "there", cluster)))


@pytest.mark.parametrize(("task", "finish"), [("split", "executing"), ("build_buckets", "memory")])
def test_a_killed_worker_costs_and_doubles_nothing(tmp_path, here, cluster, task, finish):
    """SIGKILL as a task starts, or once its files are staged: others do it again, and its rows count once."""
    preload = tmp_path / "dies.py"
    preload.write_text(DIES.format(task=task, finish=finish))
    with worker(cluster, tmp_path, f"--preload={preload}") as (process, _):
        there = built(lake_on(here, tmp_path / "there", cluster))
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert_same_tables(here, there)


def test_a_task_that_kills_its_workers_is_given_up(tmp_path, here):
    """After as many workers as the scheduler allows, the build says what to do."""
    preload = tmp_path / "dies.py"
    preload.write_text(DIES.format(task="split", finish="executing"))
    with (
        scheduler(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as (_, address),
        worker(address, tmp_path, f"--preload={preload}"),
        pytest.raises(EngineError, match="give workers more memory, or lower LAKE_ROWS_PER_BUCKET"),
    ):
        built(lake_on(here, tmp_path / "there", address))


def test_few_tasks_are_in_flight(cluster):
    """Items are taken as results are: two for each thread of the cluster, in order."""
    taken = []
    with engine(Settings(engine=cluster.replace("tcp", "dask"))) as run:
        results = run(abs, (taken.append(item) or item for item in range(-9, 0)))
        first = next(iter(results))
        assert (first, taken) == (9, [-9, -8])
        assert list(results) == [8, 7, 6, 5, 4, 3, 2, 1]


def test_a_worker_that_sees_no_lake_says_so(tmp_path, cluster):
    """One sentence names the worker's machine, the folder, and what all workers need."""
    elsewhere = Lake(Settings(var_dir=tmp_path, lake_root="", engine=cluster.replace("tcp", "dask")))
    piece = Piece("events", "digest", "standard", 0, 2, 9, 1, 1, "events.csv", datetime(2024, 1, 1))
    with (
        engine(elsewhere.settings) as run,
        pytest.raises(EngineError, match=f"cannot read or write the lake: table 'bronze.events' .* in {tmp_path}"),
    ):
        list(run(partial(split, elsewhere, Dimensions(elsewhere)), [piece]))


def test_a_worker_without_the_package_is_named(tmp_path, cluster):
    """A worker that has other packages than this process is told of before it gets a task."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "shopsphere" not in entry.name:
            (tmp_path / entry.name).symlink_to(entry)
    lacking = worker(cluster, tmp_path / "local", python=("-I", "-S"), path=str(tmp_path))
    with (
        lacking,
        engine(Settings(engine=cluster.replace("tcp", "dask"))) as run,
        pytest.raises(EngineError, match=r"Dask worker tcp://\S+ shopsphere is missing, not "),
    ):
        list(run(abs, [1]))


def test_a_scheduler_without_workers_is_named(monkeypatch):
    """One sentence says how to start one."""
    monkeypatch.setattr("lakehouse.dask_flows.WORKER_SECONDS", 0.1)
    with (
        scheduler() as (_, address),
        engine(Settings(engine=address.replace("tcp", "dask"))) as run,
        pytest.raises(EngineError, match=f"{address} has no workers: start some with `dask worker"),
    ):
        list(run(abs, [1]))


def test_an_address_where_nobody_listens_is_named():
    """One sentence, in seconds; nothing to do needs no cluster."""
    with engine(Settings(engine="dask://127.0.0.1:1")) as run:
        assert list(run(abs, [])) == []
        with pytest.raises(EngineError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1: start"):
            list(run(abs, [1]))


def test_a_wrong_engine_is_refused():
    """The message names the variable."""
    with pytest.raises(ConfigurationError, match="wrong setting: engine: String should match"):
        Settings(engine="spark://here:1")


def test_without_the_extra_the_engine_says_what_to_install(monkeypatch):
    """One sentence instead of an import error."""
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    monkeypatch.delitem(sys.modules, "lakehouse.dask_flows", raising=False)
    with (
        pytest.raises(ConfigurationError, match=r"pip install 'shopsphere\[dask\]'"),
        engine(Settings(engine="dask://a:1")),
    ):
        pass


def storage_options(lake, item):
    """What a worker would reach the lake with."""
    return lake.root, lake.storage_options, item


def test_credentials_stay_at_home(monkeypatch):
    """A task holds the lake's address and no secret; a worker takes the credentials of its own environment."""
    keys = {"aws_access_key_id": "caller", "aws_secret_access_key": "caller-secret"}
    lake = Lake(Settings(lake_root="s3://lake", aws_endpoint_url="http://store:9000", **keys))
    task = packed(partial(storage_options, lake), 1)
    assert b"caller" not in task
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "worker")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "worker-secret")
    root, options, _ = work(task)
    assert (
        root,
        options["AWS_ENDPOINT_URL"],
        options["AWS_SECRET_ACCESS_KEY"],
    ) == ("s3://lake", "http://store:9000", "worker-secret")
