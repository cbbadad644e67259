"""The spool's files: written by a worker through mapped memory, closed by it or left by its death, read to be shipped.

A folder of `var/spool` is one worker's, its files are numbered from 1 and the last one is open: locked by its process,
of a fixed size, zeros behind what is written. A closed file's name says how many records it holds.
"""

import fcntl
import logging
import mmap
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from grpc_server import record

logger = logging.getLogger(__name__)
OPEN, CLOSED = ".open", ".jsonl"
LOCK = "shipping.lock"
NEWLINE = 10


class SpoolFile:
    """The open file of this process.

    Its size is reserved when it is made, so that a full disk is an error then and no fault in memory later; what is
    written is in the page cache at once and outlives the process, without a system call.
    """

    def __init__(self, folder: Path, number: int, size: int) -> None:
        """Make and lock it.

        Raises:
            OSError: the disk is full, or refuses.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{number:09}{OPEN}"
        self._file = _locked(self.path)
        try:
            reserve(self._file, size)
            self._map = mmap.mmap(self._file, size)
        except OSError:
            self.path.unlink(missing_ok=True)
            os.close(self._file)
            raise
        self._size, self.used, self.records = size, 0, 0
        self.opened_at = time.monotonic()

    def append(self, line: bytes) -> bool:
        """Write a line and then its end, which makes it count; False where it does not fit."""
        start = self.used
        end = start + len(line)
        if end >= self._size:
            return False
        self._map[start:end] = line
        self._map[end] = NEWLINE
        self.used = end + 1
        self.records += 1
        return True

    def tail(self, size: int) -> bytes:
        """The whole lines within the last `size` bytes."""
        start = max(0, self.used - size)
        found = self._map[start : self.used]
        return found[found.find(b"\n") + 1 :] if start else found

    def close(self) -> None:
        """Give back what was not used, and let others ship the file; without records it goes."""
        self._map.close()
        if self.records:
            os.ftruncate(self._file, self.used)
            self.path.rename(_closed(self.path, self.records))
        else:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


@dataclass(frozen=True)
class Usage:
    """What the spool takes on disk, and what of it waits to be shipped."""

    bytes: int
    closed_bytes: int
    closed_records: int


def usage(spool: Path) -> Usage:
    """Of all workers' files; open ones with the size that they reserve."""
    total = closed = records = 0
    for folder in folders(spool):
        for entry in _entries(folder):
            size = _size(entry)
            total += size
            if entry.name.endswith(CLOSED):
                closed += size
                records += int(entry.name.removesuffix(CLOSED).partition("-")[2] or 0)
    return Usage(total, closed, records)


def reserve(file: int, size: int) -> None:
    """Give a file its size and the disk for it, so that writing to mapped memory cannot fail; zeros where it is new.

    Raises:
        OSError: the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        there = os.fstat(file).st_size
        os.pwrite(file, bytes(max(0, size - there)), there)


@contextmanager
def alone(spool: Path) -> Iterator[None]:
    """Within it, no other process ships or changes closed files."""
    spool.mkdir(parents=True, exist_ok=True)
    with (spool / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def folders(spool: Path) -> list[Path]:
    """The workers' folders, the oldest writer's not necessarily first."""
    return sorted(path for path in spool.glob("*") if path.is_dir())


def closed_files(folder: Path) -> list[Path]:
    """A worker's files that can be shipped, in the order in which they were written."""
    return sorted(folder.glob(f"*{CLOSED}"))


def number(path: Path) -> int:
    """Which of its worker's files it is."""
    return int(path.stem.partition("-")[0])


def claim_orphans(folder: Path) -> None:
    """Close the open file of a process that has died: nobody holds its lock."""
    for path in folder.glob(f"*{OPEN}"):
        # gone: closed meanwhile; locked: its process lives
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                lines = _whole_lines(file.read())
                file.truncate(len(lines))
                path.rename(_closed(path, lines.count(b"\n")))


def read_records(path: Path) -> list[Mapping[str, Any]]:
    """The whole records; a last line without an end was cut by the death of its process before any answer went out.

    A line that is no JSON can come of the machine's death alone, as pages are written to disk in any order.
    """
    return parsed(_whole_lines(path.read_bytes()), path)


def parsed(lines: bytes, path: Path) -> list[Mapping[str, Any]]:
    """The records in whole lines of a file; a damaged one is told and left out."""
    records: list[Mapping[str, Any]] = []
    for line in lines.split(b"\n")[:-1]:
        try:
            records.append(record.read(line))
        except orjson.JSONDecodeError:
            logger.error("%s has a damaged record of %s bytes, which is left out", path, len(line))
    return records


def _locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():
            return file
        os.close(file)  # it was taken for a dead process's before it was locked


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _closed(path: Path, records: int) -> Path:
    return path.with_name(f"{path.stem}-{records}{CLOSED}")


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []  # shipped meanwhile


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0
