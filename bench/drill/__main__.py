"""Many writers and killed runs, long enough that what is rare happens; exit code 1 where a row is lost or doubled."""

import argparse
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.drill import answers, kills, writers
from bench.drill.store import s3_store
from lakehouse.settings import Settings

ROWS_PER_BUCKET = 3_000


@contextmanager
def lakes(store: str) -> Iterator[Callable[[], Settings]]:
    """Makes settings of new lakes, in a folder or in a bucket, that are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="shopsphere-drill-") as name:
        folder = Path(name)
        if store == "disk":
            yield lambda: Settings(var_dir=folder / str(uuid.uuid4()), lake_root="", rows_per_bucket=ROWS_PER_BUCKET)
            return
        with s3_store() as s3:
            root = f"s3://{s3.bucket()}"
            yield lambda: s3.settings(folder, f"{root}/{uuid.uuid4()}", rows_per_bucket=ROWS_PER_BUCKET)


def main() -> None:
    """Run the drills that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.drill", description=__doc__)
    parser.add_argument(
        "drills", nargs="*", metavar="DRILL", help="writers, kills, predictions, answers; all where none is given"
    )
    parser.add_argument("--store", choices=("disk", "s3"), help="both where not given")
    parser.add_argument("--writers", type=int, default=16, help="processes that write at once")
    parser.add_argument("--commits", type=int, default=25, help="commits of each")
    parser.add_argument("--kills", type=int, default=50, help="runs or workers to kill on disk; a tenth as many on s3")
    parser.add_argument("--customers", type=int, default=60, help="size of the shop whose runs are killed")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which runs are killed")
    given = parser.parse_args()
    faults = 0
    for store in [given.store] if given.store else ["disk", "s3"]:
        kill_count = given.kills if store == "disk" else max(1, given.kills // 10)
        for drill in given.drills or ["writers", "kills", "predictions", "answers"]:
            with lakes(store) as new_lake:
                faults += _run(drill, store, new_lake, kill_count, given)
    sys.exit(min(faults, 1))


def _run(drill: str, store: str, new_lake: Callable[[], Settings], count: int, given: argparse.Namespace) -> int:
    if drill == "writers":
        written = writers.drill(new_lake(), writers=given.writers, commits=given.commits)
        print(
            f"{store}: {given.writers} writers, {written.commits} commits, {written.rows} rows in "
            f"{written.seconds:.0f} s: {len(written.faults)} faults",
            *written.faults,
            sep="\n  ",
            flush=True,
        )
        return len(written.faults)
    if drill == "answers":
        with tempfile.TemporaryDirectory(prefix="shopsphere-drill-") as folder:
            got = answers.drill(new_lake, Path(folder), kills=count, seed=given.seed)
        print(
            f"{store}: answers: {got.killed} workers killed in {got.seconds:.0f} s, {len(got.answered)} answers, "
            f"{got.failed} calls without one, {sum(got.logged.values())} rows: {got.lost} lost, {got.doubled} doubled",
            flush=True,
        )
        return got.lost + got.doubled
    if drill == "kills":
        with tempfile.TemporaryDirectory(prefix="shopsphere-drill-") as folder:
            parts = kills.shop(Path(folder), given.customers)
            outcome = kills.drill(new_lake, parts, kills=count, seed=given.seed)
    else:
        outcome = kills.predictions_drill(new_lake, kills=count, seed=given.seed)
    print(
        f"{store}: {drill}: {outcome.killed} killed within {outcome.seconds:.1f} s, {outcome.ended} had ended: "
        f"{len(outcome.faults)} faults",
        *outcome.faults,
        sep="\n  ",
        flush=True,
    )
    return len(outcome.faults)


if __name__ == "__main__":
    main()
