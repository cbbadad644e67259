"""The commands of our own services in compose, each run natively on loopback: it starts, answers and stops.

Prefect's server and worker are run in test_prefect_deployments.py.
"""

# ruff: noqa: S607 (they start our own commands)
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from distributed import Client

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text())["services"]

EVERYWHERE = "0.0.0.0"  # noqa: S104 (what compose binds to inside its network)


def native(name: str, replacements: dict[str, str]) -> list[str]:
    """The service's command with other addresses."""
    words = SERVICES[name]["command"]
    for old, new in replacements.items():
        assert any(old in word for word in words), f"{name}: {old}"
        words = [word.replace(old, new) for word in words]
    return words


def healthy(url: str) -> bool:
    """What compose's own health check says of the address."""
    return subprocess.run([sys.executable, "compose/healthy.py", url], cwd=ROOT, check=False).returncode == 0


def test_exporter(service: Callable[..., object], free_port: Callable[[], int]) -> None:
    """It answers before there is a lake, and a health check at a wrong address fails."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with service(native("exporter", {EVERYWHERE: "127.0.0.1", "9100": str(port)}), url=url):
        assert healthy(url)
    assert subprocess.run(
        [sys.executable, "compose/healthy.py", url], cwd=ROOT, check=False, capture_output=True
    ).returncode


def test_server(service: Callable[..., object], free_port: Callable[[], int]) -> None:
    """It is healthy before there is any model, so that the stack starts empty."""
    grpc, rest = free_port(), free_port()
    url = f"http://127.0.0.1:{rest}/health"
    command = native("server", {EVERYWHERE: "127.0.0.1"})
    with service(command, url=url, GRPC_PORT=str(grpc), REST_PORT=str(rest)):
        assert healthy(url)


def test_mlflow(service: Callable[..., object], free_port: Callable[[], int], tmp_path: Path) -> None:
    """The server with our options answers, on SQLite and a folder instead of PostgreSQL and MinIO."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/health"
    database = "postgresql+psycopg2://shopsphere:${POSTGRES_PASSWORD}@postgres:5432/mlflow"
    places = {database: f"sqlite:///{tmp_path / 'mlflow.db'}", "s3://mlflow": str(tmp_path / "artifacts")}
    command = native("mlflow", {EVERYWHERE: "127.0.0.1", "--port=5000": f"--port={port}", **places})
    jobs = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"
    with service(command, url=url, **{jobs: SERVICES["mlflow"]["environment"][jobs]}):
        assert healthy(url)


def test_dask(service: Callable[..., object], free_port: Callable[[], int]) -> None:
    """The scheduler is healthy, and the worker joins it."""
    port, dashboard = free_port(), free_port()
    url, address = f"http://127.0.0.1:{dashboard}/health", f"127.0.0.1:{port}"
    scheduler = native("dask-scheduler", {EVERYWHERE: "127.0.0.1", "8786": str(port), "8787": str(dashboard)})
    worker = native("dask-worker", {"dask-scheduler:8786": address})
    with service(scheduler, url=url), service(worker), Client(address) as client:
        assert healthy(url)
        client.wait_for_workers(1, timeout=120)
        assert list(client.nthreads().values()) == [1]


def test_a_taken_port_is_one_line(
    service: Callable[..., object], free_port: Callable[[], int], environment: dict[str, str]
) -> None:
    """The second exporter on a port says what to do, without a traceback."""
    port = free_port()
    with service(["shopsphere", "exporter", "--port", str(port)], url=f"http://127.0.0.1:{port}/metrics"):
        second = subprocess.run(
            ["shopsphere", "exporter", "--port", str(port)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert second.returncode == 1
    assert [f"shopsphere: cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port"] == (
        second.stderr.splitlines()
    )
