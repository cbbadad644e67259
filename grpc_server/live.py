"""What the workers of a server say they answer with: a file each, which counts while its process lives."""

import fcntl
import json
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from grpc_server.state import Refusal, State
from lakehouse.wording import counted

logger = logging.getLogger(__name__)
FOLDER = "workers"
POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """One worker's word: by use case the champion, the challenger and its percent; and what it refused."""

    champion: Mapping[str, int]
    challenger: Mapping[str, int]
    percent: Mapping[str, int]
    refused: Sequence[Refusal]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """How the workers of a server took a version: how many answer with it, and why others refused it."""

    workers: int
    serving: int
    reasons: Sequence[str]
    seconds: float

    @property
    def live(self) -> bool:
        """Whether all of them answer with it."""
        return self.serving == self.workers

    def line(self) -> str:
        """For people."""
        if self.reasons:
            refused = self.workers - self.serving
            return f"refused by {refused} of {counted(self.workers, 'worker')}: {'; '.join(self.reasons)}"
        said = f"live on {self.serving} of {counted(self.workers, 'worker')} after {self.seconds:.1f} s"
        return said if self.live else f"{said}: the server's log says why"


class Reporter:
    """Writes one worker's report, locked for as long as the process lives."""

    def __init__(self, serving: Path) -> None:
        self._path = serving / FOLDER / f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}.json"
        self._file: int | None = None

    def write(self, state: State) -> None:
        """Say what the worker answers with from now on."""
        report = WorkerReport(
            champion={name: served.version for name, served in state.models.items()},
            challenger={name: challenger.served.version for name, challenger in state.challengers.items()},
            percent={name: challenger.percent for name, challenger in state.challengers.items()},
            refused=state.refused,
        )
        try:
            file = self._written(json.dumps(asdict(report)).encode())
        except OSError as error:  # a full disk: answering matters more than saying so
            logger.warning("cannot say what this worker answers with: %s", error)
            return
        if self._file is not None:
            os.close(self._file)
        self._file = file

    def _written(self, content: bytes) -> int:
        """The file with the content, locked before it has its name: at no moment does it look like a dead worker's."""
        unfinished = self._path.with_suffix(".part")
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, content)
        unfinished.rename(self._path)
        return file


def reports(serving: Path) -> list[WorkerReport]:
    """The reports of the workers that live."""
    found = []
    for path in sorted((serving / FOLDER).glob("*.json")):
        try:
            with path.open() as file:
                if _lives(file.fileno()):
                    told = json.load(file)
                    found.append(WorkerReport(**{**told, "refused": [Refusal(**one) for one in told["refused"]]}))
        except FileNotFoundError:
            continue  # it has ended meanwhile
    return found


def drop_dead(serving: Path) -> None:
    """Delete the reports of workers that have ended."""
    for path in (serving / FOLDER).glob("*.json"):
        with path.open() as file:
            dead = not _lives(file.fileno())
        if dead:
            path.unlink()


def taken(
    workers: Sequence[WorkerReport],
    use_case: str,
    version: int | None,
    *,
    alias: str = "champion",
    percent: int | None = None,
) -> Followed:
    """How workers have taken a version as the use case's champion or challenger; None: that they have none.

    With a `percent`, only who lets the challenger answer so many counts.
    """
    serving = [
        report
        for report in workers
        if getattr(report, alias).get(use_case) == version and percent in (None, report.percent.get(use_case))
    ]
    refused = [
        refusal.reason
        for report in workers
        if report not in serving
        for refusal in report.refused
        if (refusal.use_case, refusal.alias, refusal.version) == (use_case, alias, version)
    ]
    reasons = list(dict.fromkeys(refused))
    return Followed(workers=len(workers), serving=len(serving), reasons=reasons, seconds=0.0)


def follow(
    serving: Path,
    use_case: str,
    version: int | None,
    *,
    alias: str = "champion",
    percent: int | None = None,
    seconds: float = 30.0,
) -> Followed | None:
    """Wait until all workers have taken a version, or refused it; None where no worker runs.

    After `seconds` it is what they have said so far.
    """
    started = time.monotonic()
    while workers := reports(serving):
        waited = time.monotonic() - started
        found = taken(workers, use_case, version, alias=alias, percent=percent)
        if found.live or found.reasons or waited > seconds:
            return Followed(workers=found.workers, serving=found.serving, reasons=found.reasons, seconds=waited)
        time.sleep(POLL_SECONDS)
    return None


def served_lines(workers: Sequence[WorkerReport], use_cases: Sequence[str] | None = None) -> list[str]:
    """What a server answers with, for people: a line per version, on how many workers, and one per refused version."""
    told: Counter[tuple[str, str]] = Counter()
    for report in workers:
        told.update((name, f"serving {name}: version {version}") for name, version in report.champion.items())
        told.update((name, f"serving {name}: {_challenger(report, name)}") for name in report.challenger)
        told.update((one.use_case, f"refused {one.use_case}: {one.alias} {one.version}") for one in report.refused)
    reasons = {f"refused {r.use_case}: {r.alias} {r.version}": f": {r.reason}" for one in workers for r in one.refused}
    return [
        f"{line} on {number} of {counted(len(workers), 'worker')}{reasons.get(line, '')}"
        for (name, line), number in sorted(told.items(), key=lambda entry: entry[0][0])
        if use_cases is None or name in use_cases
    ]


def _challenger(report: WorkerReport, use_case: str) -> str:
    share = f"{report.percent[use_case]} %" if report.percent[use_case] else "shadow"
    return f"challenger {report.challenger[use_case]} ({share})"


def workers_document(serving: Path | None) -> list[dict[str, Any]]:
    """The living workers' reports as JSON."""
    return [asdict(report) for report in reports(serving)] if serving else []


def _lives(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
