"""One process of a server, started again when it dies: at once, and ever later if it keeps dying."""

import gc
import logging
import os
import subprocess
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)
SOUND_SECONDS = 10.0
"""Whoever lived that long dies for a new reason."""
LONGEST_WAIT = 30.0
BETWEEN_COLLECTIONS = 50_000


class Child:
    """`kind` and what its `spawn` starts; `clock` tells seconds."""

    def __init__(
        self, kind: str, spawn: Callable[[], "subprocess.Popen[bytes]"], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.kind = kind
        self._spawn, self._clock = spawn, clock
        self._deaths = 0
        self._start_at: float | None = None
        self._started_at = clock()
        self.process = spawn()

    def died(self) -> bool:
        """Whether it has ended since this was last asked; it is started again when its wait is over."""
        now = self._clock()
        died = self._start_at is None and self.process.poll() is not None
        if died:
            self._deaths = 1 if now - self._started_at > SOUND_SECONDS else self._deaths + 1
            wait = min(2.0 ** (self._deaths - 2), LONGEST_WAIT) if self._deaths > 1 else 0.0
            self._start_at = now + wait
            code = self.process.returncode
            logger.error("the %s ended with code %s: starting it again in %.0f s", self.kind, code, wait)
        if self._start_at is not None and now >= self._start_at:
            self._start_at, self._started_at = None, now
            self.process = self._spawn()
        return died


def collect_seldom() -> None:
    """Let Python look for cycles of objects less often, and never among those that the process has by now.

    A batch of 1,000 makes some 10,000 objects, a spool file many more, and all of them live until it is done: Python
    would look through them time and again, and through all of MLflow in the follower.
    """
    gc.freeze()
    gc.set_threshold(BETWEEN_COLLECTIONS)


def orphaned(parent: int) -> bool:
    """Whether the process that started this one, `parent`, has died, so that nobody will ever stop this one.

    A parent tells its children its pid when it starts them: one that dies while they import has been replaced, as
    the parent that the system names, before they can ask. In a container the parent may itself be process 1.
    """
    return os.getppid() != parent


def end(processes: "list[subprocess.Popen[bytes]]", seconds: float) -> None:
    """Ask them to end, and kill what has not after so long."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.error("process %s did not stop within %s s: killing it", process.pid, seconds)
            process.kill()
            process.wait()
