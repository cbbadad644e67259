"""A worker's side of the prediction log: an answer's record is in the spool before the answer goes out, or counted."""

import logging
import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grpc_server.spool import SpoolFile, closed_files, parsed, usage

logger = logging.getLogger(__name__)
FILE_BYTES = 4 << 20
CLOSE_SECONDS = 2.0
RETRY_SECONDS = 1.0
RECENT_BYTES = 1 << 16
"""Some hundred answers to single calls; a large batch is not among them."""
NEVER_LESS = 1.0


class PredictionLog:
    """One worker's log, in a folder of the spool that is its own.

    limit_bytes: what the whole spool may take on disk; each worker looks when it begins a file of at most 4 MiB (or one
    record). rates: by use case, the share of answers to keep; all where none is given. on_drop: called for each dropped
    record.
    """

    def __init__(
        self,
        spool: Path,
        *,
        limit_bytes: int = 1 << 30,
        rates: Mapping[str, float] | None = None,
        on_drop: Callable[[], None] = lambda: None,
    ) -> None:
        self.spool, self.limit_bytes = spool, limit_bytes
        self._on_drop = on_drop
        self._rates = dict(rates or {})
        self._folder = spool / f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
        self._lock = threading.Lock()
        self._number = 0
        self._file: SpoolFile | None = None
        self._refused_at: float | None = None
        self._last = b""
        """The end of the file before the open one."""

    @property
    def refusing(self) -> bool:
        """Whether the newest attempt to begin a file failed: records are being dropped."""
        return self._refused_at is not None

    @property
    def open_records(self) -> int:
        """Records that are in the open file."""
        file = self._file
        return file.records if file else 0

    @property
    def open_bytes(self) -> int:
        """What they take."""
        file = self._file
        return file.used if file else 0

    def sampled(self, use_case: str, prediction_id: str) -> bool:
        """Whether the answer is to be kept; the same for the same id, whoever asks."""
        rate = self._rates.get(use_case, NEVER_LESS)
        return rate >= NEVER_LESS or zlib.crc32(prediction_id.encode()) < rate * 2**32

    def append(self, line: bytes) -> bool:
        """Write one record, a JSON document without a line end; what is written survives the death of the process.

        False where the disk refuses it or the spool is as large as it may be: the record is dropped, and counted.
        """
        with self._lock:
            if (self._file is not None and self._file.append(line)) or self._append_to_next(line):
                return True
        self._on_drop()
        return False

    def recent(self) -> list[Mapping[str, Any]]:
        """The newest records of this worker, oldest first, as far as 64 KiB of each file hold them whole."""
        with self._lock:
            lines = self._last + (self._file.tail(RECENT_BYTES) if self._file else b"")
        return parsed(lines, self._folder)

    def tend(self) -> None:
        """Close the open file when it is old and those before it are shipped; call this a few times a second.

        So a store that cannot be reached leaves few, full files.
        """
        with self._lock:
            file = self._file
            if file and file.records and time.monotonic() - file.opened_at > CLOSE_SECONDS:
                if not closed_files(self._folder):
                    self._begin(FILE_BYTES)
            elif file is None:
                self._begin(FILE_BYTES)

    def close(self) -> None:
        """Close the open file."""
        with self._lock:
            self._close()

    def _append_to_next(self, line: bytes) -> bool:
        return self._begin(max(FILE_BYTES, len(line) + 1)) and self._file is not None and self._file.append(line)

    def _begin(self, size: int) -> bool:
        """Close the open file and begin the next; False where none can be had, asked no more than once a second."""
        if self._refused_at is not None and time.monotonic() - self._refused_at < RETRY_SECONDS:
            return False
        try:
            self._close()
            self._number += 1
            if usage(self.spool).bytes + size > self.limit_bytes:
                raise OSError(f"it has {self.limit_bytes >> 20} MiB of unshipped records (SHOPSPHERE_SPOOL_MB)")
            self._file = SpoolFile(self._folder, self._number, size)
        except OSError as error:
            if self._refused_at is None:
                logger.error("the prediction spool %s takes no more records, they are dropped: %s", self.spool, error)
            self._refused_at = time.monotonic()
            return False
        if self._refused_at is not None:
            logger.warning("the prediction spool %s takes records again", self.spool)
        self._refused_at = None
        return True

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            self._last = file.tail(RECENT_BYTES) if file.records else self._last
            file.close()
