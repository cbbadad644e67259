"""Numbers that outlive their process: a mapped file per process of a server, which any of them can read and add up.

A restarted process goes on with the file of the one before it, so that what it counts never goes backwards.
"""

import logging
import mmap
import os
import struct
import threading
from collections.abc import Sequence
from pathlib import Path

from grpc_server.spool import reserve

logger = logging.getLogger(__name__)
CELLS = 4096
"""Numbers in a file: a new model version takes some, so that it lasts for about a thousand promotions."""
SINK = 64
"""As many cells at the end take what has no room; nobody reads them."""
KEY_BYTES = 120
HEADER = 8
KEYS = HEADER + 8 * CELLS
SIZE = KEYS + KEY_BYTES * CELLS
SUFFIX = ".counters"
Key = tuple[str, ...]


class Counters:
    """One process's numbers, each with a key: a metric's name and its labels.

    Whoever counts often keeps a number's place and changes `values` there, holding `lock`.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Go on with the file's numbers; without a path they end with the process.

        Raises:
            OSError: the disk is full, or refuses.
        """
        self.lock = threading.Lock()
        self._map = mmap.mmap(-1, SIZE) if path is None else _mapped(path)
        self.values = memoryview(self._map)[HEADER:KEYS].cast("d")
        self._places = {key: place for place, key in enumerate(_keys(self._map))}
        self._used = len(self._places)

    def place(self, *keys: Key) -> int:
        """The place of the first key's number; those of the others follow. New numbers are 0."""
        with self.lock:
            if keys[0] not in self._places:
                self._places[keys[0]] = self._new_place([_encoded(key) for key in keys])
            return self._places[keys[0]]

    def _new_place(self, keys: Sequence[bytes]) -> int:
        first, end = self._used, self._used + len(keys)
        if end > CELLS - SINK or any(len(key) > KEY_BYTES for key in keys):
            logger.error("%s is not counted: there is no room for it", keys[0])
            return CELLS - SINK
        for place, key in enumerate(keys, start=first):
            self._map[KEYS + place * KEY_BYTES : KEYS + (place + 1) * KEY_BYTES] = key
        self._map[:HEADER] = struct.pack("Q", end)  # from now on they count
        self._used = end
        return first

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        """Add to a number."""
        place = self.place((name, *labels))
        with self.lock:
            self.values[place] += amount

    def set(self, name: str, *labels: str, to: float) -> None:
        """Set a number."""
        place = self.place((name, *labels))
        with self.lock:
            self.values[place] = to

    def read(self) -> dict[Key, float]:
        """All numbers."""
        return _numbers(self._map[:])


def read_counters(folder: Path) -> list[dict[Key, float]]:
    """The numbers of each process that keeps its file in the folder."""
    contents = (path.read_bytes() for path in sorted(folder.glob(f"*{SUFFIX}")))
    return [_numbers(content) for content in contents if len(content) == SIZE]  # shorter: it is being made


def _mapped(path: Path) -> mmap.mmap:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        reserve(file, SIZE)
        return mmap.mmap(file, SIZE)
    finally:
        os.close(file)


def _numbers(content: bytes) -> dict[Key, float]:
    keys = _keys(content)
    return dict(zip(keys, struct.unpack_from(f"{len(keys)}d", content, HEADER), strict=True))


def _keys(content: bytes | mmap.mmap) -> list[Key]:
    (count,) = struct.unpack_from("Q", content)
    starts = range(KEYS, KEYS + count * KEY_BYTES, KEY_BYTES)
    return [tuple(content[start : start + KEY_BYTES].rstrip(b"\0").decode().split("\t")) for start in starts]


def _encoded(key: Key) -> bytes:
    return "\t".join(key).encode().ljust(KEY_BYTES, b"\0")
