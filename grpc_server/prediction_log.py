"""The spool: a worker's answers, on disk before they go out, until the follower has committed them to Delta."""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from lakehouse.errors import ShopSphereError

ROTATE_SECONDS = 1.0
ROTATE_BYTES = 4 << 20
OPEN, CLOSED = ".open", ".jsonl"


class SpoolError(ShopSphereError):
    """The spool's disk refuses to take an answer."""


class PredictionLog:
    """One worker's spool: a folder of files numbered from 1, the last of them open and locked by this process.

    A file that is closed, or whose process has died, is ready to ship.
    """

    def __init__(self, spool: Path) -> None:
        writer = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
        self._folder = spool / writer
        self._lock = threading.Lock()
        self._number = 0
        self._file: int | None = None
        self._opened_at = 0.0
        self._size = 0

    def append(self, record: bytes) -> None:
        """Write one record, JSON without a line's end; when this returns, it survives the death of the process.

        Raises:
            SpoolError: the disk refuses.
        """
        line = record + b"\n"
        with self._lock:
            try:
                file = self._open() if self._file is None else self._file
                if os.write(file, line) != len(line):
                    raise OSError("the disk is full")
                self._size += len(line)
            except OSError as error:
                raise SpoolError(f"cannot write to the prediction spool {self._folder}: {error}") from error
            if self._size > ROTATE_BYTES:
                self._close()

    def rotate(self) -> None:
        """Close the open file when it is a second old, so that it can be shipped."""
        with self._lock:
            if self._file is not None and time.monotonic() - self._opened_at > ROTATE_SECONDS:
                self._close()

    def close(self) -> None:
        """Close the open file."""
        with self._lock:
            self._close()

    def _open(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        path = self._folder / f"{self._number:09}{OPEN}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._opened_at, self._size = time.monotonic(), 0
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            path = self._folder / f"{self._number:09}{OPEN}"
            path.rename(path.with_suffix(CLOSED))
            os.close(self._file)
            self._file = None


Commit = Callable[[Sequence[Mapping[str, Any]], str, int], Any]
"""Commits records under an application id and sequence, exactly once however often it is called with them."""


def ship(spool: Path, commit: Commit) -> int:
    """Commit all files that are ready, oldest first, and delete each when it is committed; gives the records."""
    count = 0
    for folder in sorted(path for path in spool.glob("*") if path.is_dir()):
        claim_orphans(folder)
        for path in sorted(folder.glob(f"*{CLOSED}")):
            records = read_records(path)
            commit(records, f"spool/{folder.name}", int(path.stem))
            path.unlink()
            count += sum(len(record["ids"]) for record in records)
        if not any(folder.iterdir()):
            folder.rmdir()
    return count


def backlog_files(spool: Path) -> int:
    """Files that wait to be shipped."""
    return sum(1 for _ in spool.glob(f"*/*{CLOSED}"))


def claim_orphans(folder: Path) -> None:
    """Close the open file of a process that has died: nobody holds its lock."""
    for path in folder.glob(f"*{OPEN}"):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if path.exists():
                path.rename(path.with_suffix(CLOSED))


def read_records(path: Path) -> list[Mapping[str, Any]]:
    """The whole records; a last line without an end was cut by the death of its process before any answer went out."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
