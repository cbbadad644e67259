"""One temporary Prefect server for a whole demo: started early, waited for late, stopped at the end."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import ShopSphereError

START_UP_SECONDS = 180


class PrefectServerError(ShopSphereError):
    """The temporary Prefect server did not start."""


class TemporaryPrefectServer:
    """A Prefect server on a free loopback port with its database under `folder`; no services, no dashboard."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        # Before Prefect is imported, so that its settings see them.
        os.environ.update(
            PREFECT_HOME=str(folder.absolute()),
            PREFECT_SERVER_ANALYTICS_ENABLED="false",
            PREFECT_SERVER_UI_ENABLED="false",
            PREFECT_LOGGING_LEVEL="WARNING",
            DO_NOT_TRACK="1",
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "prefect", "server", "start", "--no-services"),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when the server answers, and point Prefect's client at it.

        Raises:
            PrefectServerError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + START_UP_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PrefectServerError(f"the temporary Prefect server did not start: see {self._log}")
            time.sleep(0.2)
        os.environ["PREFECT_API_URL"] = self.url

    def stop(self) -> None:
        """Stop the server."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as response:  # noqa: S310 (our own loopback address)
                return bool(response.status == 200)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False


@contextmanager
def prefect_server(folder: Path) -> Iterator[TemporaryPrefectServer | None]:
    """A temporary server for the time of the block; none where PREFECT_API_URL names one that is there already."""
    if os.environ.get("PREFECT_API_URL"):
        yield None
        return
    server = TemporaryPrefectServer(folder)
    try:
        yield server
    finally:
        server.stop()
        os.environ.pop("PREFECT_API_URL", None)
