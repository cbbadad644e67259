"""Kills a run of `ingest` and `build` at random moments: tables stay readable, and the next run completes it."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.drill.tables import contents, differences
from lakehouse.build import build
from lakehouse.contracts import REQUIRED
from lakehouse.ingest import ingest
from lakehouse.predictions import PREDICTIONS, append_records
from lakehouse.settings import Settings
from lakehouse.sources import synthetic
from lakehouse.storage import Lake

NewLake = Callable[[], Settings]
Check = Callable[[Settings], list[str]]
BATCHES = 12


@dataclass(frozen=True)
class Outcome:
    """killed: runs that died before their end; seconds: what an undisturbed run takes."""

    killed: int
    ended: int
    seconds: float
    faults: Sequence[str]


def shop(folder: Path, customers: int) -> list[Path]:
    """Two folders of raw files of a small shop: everything up to a moment, and what came later."""
    synthetic.write(folder / "all", customers=customers, products=20)
    parts = [folder / "first", folder / "later"]
    for part in parts:
        part.mkdir()
    for table in REQUIRED:
        header, *rows = (folder / "all" / f"{table}.csv").read_text().splitlines()
        cut = len(rows) * 2 // 3 if table in ("events", "transactions") else len(rows)
        for part, mine in zip(parts, (rows[:cut], rows[cut:]), strict=True):
            if mine:
                (part / f"{table}.csv").write_text("\n".join([header, *mine]) + "\n")
    return parts


def run(settings: Settings, folders: Sequence[Path]) -> None:
    """What is killed: two folders, each ingested and built."""
    lake = Lake(settings)
    for folder in folders:
        ingest(lake, str(folder))
        build(lake)


def drill(new_lake: NewLake, folders: Sequence[Path], *, kills: int, seed: int) -> Outcome:
    """Kill runs at moments spread over their duration, each on a new lake, and compare what the next run makes."""
    undisturbed, begin = new_lake(), time.monotonic()
    run(undisturbed, folders)
    seconds = time.monotonic() - begin
    expected = contents(Lake(undisturbed))

    def check(settings: Settings) -> list[str]:
        contents(Lake(settings))  # every table there is can be read
        run(settings, folders)
        return differences(expected, Lake(settings))

    work = ["run", *map(str, folders)]
    return _killed(new_lake, work, check, kills=kills, seed=seed, seconds=seconds)


def predictions_drill(new_lake: NewLake, *, kills: int, seed: int) -> Outcome:
    """Kill a shipper of predictions at random moments and let another go on, until all batches are there once."""
    undisturbed, begin = new_lake(), time.monotonic()
    ship(undisturbed)
    seconds = time.monotonic() - begin

    def check(settings: Settings) -> list[str]:
        ship(settings)
        ids = sorted(Lake(settings).scan(PREDICTIONS).collect()["prediction_id"].to_list())
        return [] if ids == sorted(f"p{number}" for number in range(BATCHES)) else [f"predictions are {ids}"]

    return _killed(new_lake, ["ship"], check, kills=kills, seed=seed, seconds=seconds)


def _killed(new_lake: NewLake, work: Sequence[str], check: Check, *, kills: int, seed: int, seconds: float) -> Outcome:
    """Kill so many runs at moments spread over their duration; one that ended before says how long that is now."""
    chance, faults = random.Random(seed), []  # noqa: S311 (moments, no secrets)
    killed = ended = 0
    while killed < kills and ended <= kills:
        settings, moment = new_lake(), chance.uniform(0, seconds)
        took = kill_after(settings, moment, *work)
        if took is None:
            killed += 1
        else:
            ended, seconds = ended + 1, min(seconds, took)
        faults += [f"after {moment:.3f} s: {fault}" for fault in check(settings)]
    return Outcome(killed, ended, seconds, faults)


def ship(settings: Settings) -> None:
    """Append batches of one prediction each, as a shipper does that begins its spool again."""
    record = {"use_case": "clv", "entity_ids": ["7"], "model_name": "clv", "model_version": 1, "alias": "champion"}
    record |= {"feature_table": "gold.customer_features", "feature_version": 0, "as_of": "2024-01-01T00:00:00"}
    record |= {"predicted_at": "2024-01-02T00:00:00", "columns": {"clv_180d": [1.0]}}
    record |= {name: [[]] for name in ("request_features", "default_features", "warnings")}
    for sequence in range(BATCHES):
        append_records(Lake(settings), [record | {"ids": [f"p{sequence}"]}], app_id="drill", sequence=sequence)


def kill_after(settings: Settings, seconds: float, *work: str) -> float | None:
    """Start the work in a process and SIGKILL it so long after it began; the seconds it took where it ended before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.drill.kills", *work],
        stdout=subprocess.PIPE,
        text=True,
        env=settings.environment(),
    )
    assert process.stdout
    process.stdout.readline()
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    begin = time.monotonic()
    status = process.wait()
    took = time.monotonic() - begin
    timer.cancel()
    process.stdout.close()
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the run to be killed failed by itself with status {status}")
    return took if status == 0 else None


if __name__ == "__main__":
    print("ready", flush=True)
    if sys.argv[1] == "ship":
        ship(Settings())
    else:
        run(Settings(), [Path(folder) for folder in sys.argv[2:]])
