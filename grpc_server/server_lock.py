"""One server of a name on a folder: a second would take the first one's place half way."""

import fcntl
import os
from pathlib import Path

from lakehouse.errors import ShopSphereError

LOCK = "server.lock"


class ServerRunsError(ShopSphereError):
    """A server of that name runs on that folder."""


class ServerLock:
    """Held from its making until it is released, or the process dies."""

    def __init__(self, folder: Path) -> None:
        """Take it.

        Raises:
            ServerRunsError: another process holds it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise ServerRunsError(
                f"a server runs already on {folder}: stop it, or give this one a folder of its own with SHOPSPHERE_VAR"
            ) from None

    def release(self) -> None:
        """Let others have it."""
        os.close(self._file)
