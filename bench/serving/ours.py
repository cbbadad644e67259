"""Our own server, as benches need it: its one worker, on the first core, with all that it answers from."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.serving.copied import copied
from grpc_server.champions import read_pointer
from grpc_server.server import ServerAddress, running_server
from grpc_server.worker import WATCH_SECONDS
from training.use_cases import USE_CASES


@contextmanager
def our_server(var: Path) -> Iterator[tuple[Path, ServerAddress]]:
    """A server on a copy of a shop, for the time of a block: the folder that it serves from, and its address."""
    with tempfile.TemporaryDirectory(prefix="shopsphere-bench-") as scratch:
        settings = copied(var, Path(scratch))
        with running_server(settings) as address:
            serving = settings.serving_dir("live")
            wait_for_precomputed(serving)
            keep_to(worker(), min(os.sched_getaffinity(0)))
            yield serving, address


def wait_for_precomputed(serving: Path) -> None:
    """Until the follower has the answers that calls need no model for, and the worker has had time to see them."""
    deadline = time.monotonic() + 60
    while len((read_pointer(serving) or {"precomputed": ()})["precomputed"]) < len(USE_CASES):
        if time.monotonic() > deadline:
            raise RuntimeError("no answers are precomputed: the server's log says why")
        time.sleep(0.1)
    time.sleep(2 * WATCH_SECONDS)


def worker() -> int:
    """The process of the server's one worker, a child of this process."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"grpc_server.worker" in (path / "cmdline").read_bytes():
                return int(path.name)
        except OSError:
            continue  # it has ended meanwhile
    raise RuntimeError("the server has no worker")


def keep_to(pid: int, core: int) -> None:
    """Keep all threads of a process to a core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
