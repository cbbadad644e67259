"""Starts the services of compose natively on loopback, as real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from lakehouse.sources import synthetic

ROOT = Path(__file__).parents[2]
Service = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]


@pytest.fixture(scope="module")
def raw_csvs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five small raw CSVs."""
    folder = tmp_path_factory.mktemp("raw")
    synthetic.write(folder, customers=30, products=10, days=60, seed=1)
    return folder


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives loopback ports that nobody listens on."""

    def find() -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
            return port

    return find


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment that keeps everything in the test's folder, with the commands of the running Python first."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "MLFLOW", "AWS"))}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SHOPSPHERE_VAR": str(tmp_path / "var"),
        "SHOPSPHERE_HOME": str(ROOT),
        "LAKE_ROOT": str(tmp_path / "lake"),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


@pytest.fixture
def service(tmp_path: Path, environment: dict[str, str]) -> Service:
    """Runs a command for the time of a block, from when its address answers 200."""

    @contextmanager
    def run(
        command: list[str], *, url: str | None = None, seconds: float = 120, **extra: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        log = tmp_path / f"{Path(command[0]).name}-{command[1]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**environment, **extra},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + seconds
            while url and not answers(url):
                assert process.poll() is None, f"{command} ended:\n{log.read_text()[-2000:]}"
                assert time.monotonic() < deadline, f"{command} does not answer {url}:\n{log.read_text()[-2000:]}"
                time.sleep(0.2)
            yield process
        finally:
            stop(process)

    return run


def answers(url: str) -> bool:
    """Whether the address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and those that it started."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
