"""Many processes that commit to one table at once: versions without a gap, no row lost or doubled."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from lakehouse.settings import Settings
from lakehouse.storage import Lake

TABLE = "drill.rows"
ROWS = 10


@dataclass(frozen=True)
class Outcome:
    """What the table holds after all writers have ended, and what went wrong; no faults is a passed drill."""

    commits: int
    rows: int
    seconds: float
    faults: Sequence[str]


def drill(settings: Settings, *, writers: int, commits: int) -> Outcome:
    """Let so many processes append so often at once, then count."""
    lake, begin = Lake(settings), time.monotonic()
    running = [_start(settings, number, commits) for number in range(writers)]
    for process in running:
        assert process.stdout
        process.stdout.readline()  # ready: Python and its libraries are loaded
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    faults = [error.strip() for process in running if (error := process.communicate()[1]).strip()]
    return Outcome(*_counted(lake), time.monotonic() - begin, [*faults, *_faults(lake, writers, commits)])


def write(settings: Settings, number: int, commits: int) -> None:
    """One writer: plain appends, and staged files in a commit of its own with an application id, in turn."""
    lake = Lake(settings)
    for commit in range(commits):
        rows = pl.DataFrame({"writer": [number] * ROWS, "commit": [commit] * ROWS, "row": list(range(ROWS))})
        if commit % 2:
            lake.append(TABLE, rows)
        else:
            files = lake.stage(TABLE).write(rows.lazy())
            lake.commit(TABLE, rows.schema, add=files, app={f"writer/{number}": commit})


def _start(settings: Settings, number: int, commits: int) -> "subprocess.Popen[str]":
    environment = settings.environment()
    return subprocess.Popen(
        [sys.executable, "-m", "bench.drill.writers", str(number), str(commits)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _counted(lake: Lake) -> tuple[int, int]:
    return lake.version(TABLE), lake.scan(TABLE).select(pl.len()).collect().item()


def _faults(lake: Lake, writers: int, commits: int) -> list[str]:
    expected = pl.DataFrame({"writer": range(writers)}).join(pl.DataFrame({"commit": range(commits)}), how="cross")
    expected = expected.join(pl.DataFrame({"row": range(ROWS)}), how="cross")
    found = lake.scan(TABLE).collect()
    lost = expected.join(found, on=found.columns, how="anti").height
    doubled = found.height - found.unique().height
    versions = sorted(commit["version"] for commit in lake.history(TABLE))
    gaps = versions != list(range(writers * commits + 1))
    told = {f"{lost} rows lost": lost, f"{doubled} rows doubled": doubled, f"versions {versions}": gaps}
    return [fault for fault, is_so in told.items() if is_so]


if __name__ == "__main__":
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()
    write(Settings(), *map(int, sys.argv[1:]))
