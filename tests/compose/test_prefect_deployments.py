"""The Prefect deployments, tried against a real Prefect server and a real worker on loopback."""

import importlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

from training.use_cases import USE_CASES

ROOT = Path(__file__).parents[2]
PREFECT_FILE = ROOT / "compose" / "prefect.yaml"


def test_every_deployment_names_a_flow() -> None:
    """Each entrypoint is a flow of the package, and every use case has a deployment of its own."""
    deployments = {entry["name"]: entry for entry in yaml.safe_load(PREFECT_FILE.read_text())["deployments"]}
    expected = {"ingest", "build", "train-all", "score", "monitor"} | {
        f"train-{use_case.name}" for use_case in USE_CASES
    }
    assert expected == set(deployments)
    for entry in deployments.values():
        path, _, name = entry["entrypoint"].partition(":")
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        assert hasattr(getattr(module, name), "to_deployment")


def test_a_deployed_flow_runs_on_a_worker(
    service: Callable[..., object],
    environment: dict[str, str],
    free_port: Callable[[], int],
    raw_csvs: Path,
    tmp_path: Path,
) -> None:
    """Deployed as in compose, ingest runs on a process worker; with ENGINE set, build's task runs are Dask workers'."""
    port, dask_port, dashboard = free_port(), free_port(), free_port()
    api = f"http://127.0.0.1:{port}/api"
    server = ["prefect", "server", "start", "--no-services", "--host", "127.0.0.1", "--port", str(port)]
    client = {**environment, "PREFECT_API_URL": api}
    scheduler = ["dask", "scheduler", "--host", "127.0.0.1", "--port", str(dask_port)]
    scheduler += ["--dashboard-address", f"127.0.0.1:{dashboard}"]
    worker = ["dask", "worker", f"127.0.0.1:{dask_port}", "--nthreads", "1", "--no-dashboard", "--no-nanny"]

    def call(*command: str, **extra: str) -> None:
        done = subprocess.run(command, cwd=ROOT, env={**client, **extra}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    with service(server, url=f"{api}/health"):
        call("prefect", "work-pool", "create", "shopsphere", "--type", "process", "--overwrite")
        call("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(PREFECT_FILE.relative_to(ROOT)))
        call("prefect", "deployment", "run", "ingest/ingest", "--param", f"source={raw_csvs}")
        call("prefect", "worker", "start", "--pool", "shopsphere", "--type", "process", "--run-once")
        with service(scheduler, url=f"http://127.0.0.1:{dashboard}/health"), service(worker):
            call("shopsphere", "build", ENGINE=f"dask://127.0.0.1:{dask_port}")
    log = (tmp_path / "dask-worker.log").read_text()
    assert re.search(r"Task run 'split-\w+' - Finished in state Completed", log)
    assert re.search(r"Task run 'build_buckets-\w+' - Finished in state Completed", log)
    assert (Path(environment["LAKE_ROOT"]) / "bronze" / "customers" / "_delta_log").is_dir()
