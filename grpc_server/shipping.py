"""Shipping: closed spool files are committed to the prediction log exactly once, and deleted when they are."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from grpc_server.counters import Counters
from grpc_server.metric_families import SHIP_FAILURES, SHIPPED
from grpc_server.spool import alone, claim_orphans, closed_files, folders, number, read_records
from lakehouse.errors import ShopSphereError
from lakehouse.predictions import append_records
from lakehouse.storage import Lake

logger = logging.getLogger(__name__)
SHIP_SECONDS = 3.0
"""Each shipping is a commit, so no more often than needed for answers to be readable within 10 s."""

Records = Sequence[Mapping[str, Any]]
Commit = Callable[[Records, str, int], Any]
"""Commits records under an application id and sequence, exactly once however often it is called with them."""


def ship(spool: Path, commit: Commit) -> int:
    """Commit all files that are ready, oldest first, and delete each when it is committed; gives the records.

    One process at a time does it: others, as of a second server on the folder, wait.
    """
    count = 0
    with alone(spool):
        for folder in folders(spool):
            claim_orphans(folder)
            for path in closed_files(folder):
                records = read_records(path)
                commit(records, f"spool/{folder.name}", number(path))
                path.unlink()
                count += len(records)
            with suppress(OSError):  # it has files
                folder.rmdir()
    return count


class Shipper:
    """Ships a spool to the lake for the time of a block, and what is left at its end.

    It has a thread of its own, so that it waits for nothing else that the follower does. What is committed of records
    is what `completed` makes of them.
    """

    def __init__(
        self,
        spool: Path,
        lake: Lake,
        counters: Counters,
        completed: Callable[[Records], Records] = lambda records: records,
    ) -> None:
        self._spool, self._lake, self._counters, self._completed = spool, lake, counters, completed
        for family in (SHIPPED, SHIP_FAILURES):
            counters.add(family.name, amount=0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shipper")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(SHIP_SECONDS):
            self._ship()
        self._ship()

    def _ship(self) -> None:
        try:
            ship(self._spool, self._commit)
        except Exception as error:  # whatever it is, the next answers have to be shipped too
            self._counters.add(SHIP_FAILURES.name)
            told = None if isinstance(error, ShopSphereError) else error
            logger.warning("cannot ship the prediction log: %s; trying again", error, exc_info=told)

    def _commit(self, records: Records, app_id: str, sequence: int) -> None:
        append_records(self._lake, self._completed(records), app_id=app_id, sequence=sequence)
        self._counters.add(SHIPPED.name, amount=len(records))
