"""Times the lake against references, as ratios in one interleaved run; every case is a process of its own.

    python -m bench.lake                       # 10 million events, 3 rounds
    python -m bench.lake --events 1 --rounds 1

Prints seconds (median), CPU seconds and peak memory of each case, and the ratios that docs/benchmarks.md records.
"""

import argparse
import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from bench import features, shop
from lakehouse.allocators import keep_freed_memory
from lakehouse.build import build
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver.build import build_silver
from lakehouse.storage import Lake

ROUNDS = 3
RATIOS = (
    ("CSV to bronze, times faster than pandas to Parquet", "csv_pandas", "csv_bronze", "at least 2"),
    ("bronze to silver with every rule, over CSV to bronze", "bronze_silver", "csv_bronze", "at most 1"),
    ("customer features, times faster than pandas", "features_pandas", "features_one", "at least 6"),
    ("customer features over decoding their columns", "features_one", "features_decode", "at most 3"),
    ("customer features over DuckDB", "features_one", "features_duckdb", ""),
    ("twelve monthly cutoffs over one", "features_twelve", "features_one", "at most 3"),
    ("an increment of 1 % over a full rebuild", "increment", "rebuild", "at most 0.05"),
)
"""Name, numerator, denominator, goal."""
IMPORTED_LATE = ("pyarrow", "numpy.ma")
"""What Polars imports when it is first asked for a Delta table, or given an array."""


def main() -> None:
    """Run one case, or all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=float, default=10, help="Million events; a fifth as many transactions.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--folder", type=Path, default=Path("var/bench"), help="Where the shop and the lakes are.")
    parser.add_argument("--only", nargs="*", choices=CASES, help="Some cases alone.")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    keep_freed_memory()  # as `shopsphere` does it, here for NumPy and in the cases' processes for Polars too
    if arguments.case:
        measure(arguments.case, arguments.folder)
        return
    cases = arguments.only or list(CASES)
    prepare(arguments.folder, int(arguments.events * 1e6), lakes=not NO_LAKE.issuperset(cases))
    report(arguments.folder, arguments.rounds, cases)


def measure(case: str, folder: Path) -> None:
    """Run one case and print what it took as JSON; rows that it gives are kept, for they are compared."""
    if case in BEFORE:
        BEFORE[case](folder)
    for module in IMPORTED_LATE:  # no case is timed while it imports libraries
        importlib.import_module(module)
    os.sync()  # what the case before this one wrote is not written to disk on this one's time
    started, before = time.perf_counter(), _cpu()
    rows = CASES[case](folder)
    took = {"seconds": time.perf_counter() - started, "cpu": _cpu() - before, "peak_mib": _peak_mib()}
    if rows is not None:
        pl.DataFrame(rows).write_parquet(folder / f"{case}.parquet")
    print(json.dumps(took))


def _peak_mib() -> float:
    """The process's own peak; `ru_maxrss` would start at the parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def prepare(folder: Path, events: int, *, lakes: bool) -> None:
    """The shop; also, if cases need them, lakes built from all of it and from all but the newest 1 % of its rows."""
    written, built = folder / f"written-{events}", folder / f"built-{events}"
    if not written.exists():
        shutil.rmtree(folder, ignore_errors=True)
        shop.write(folder / "whole", events, max(events // 100, 100))
        written.touch()
    if lakes and not built.exists():
        shop.divide(folder / "whole", folder / "old", folder / "new")
        for name in ("whole", "old"):
            lake = fresh(folder, f"lake-{name}")
            ingest(lake, str(folder / name))
            build(lake)
        built.touch()


def lake_of(folder: Path) -> Lake:
    """The lake in a folder."""
    return Lake(Settings(var_dir=folder, lake_root=""))


def report(folder: Path, rounds: int, cases: list[str]) -> None:
    """Run the cases in turn, several rounds, and print the figures."""
    found: dict[str, list[dict[str, float]]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases:
            command = [sys.executable, "-m", "bench.lake", "--case", case, "--folder", str(folder)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[case].append(json.loads(output.splitlines()[-1]))
            print(f"round {number + 1} {case}: {found[case][-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
    if {"features_pandas", "features_one"} <= found.keys():
        ours, theirs = (pl.read_parquet(folder / f"{case}.parquet") for case in ("features_one", "features_pandas"))
        print(features.compare(ours, theirs))
    print(f"\n{'case':18} {'seconds':>8} {'CPU s':>8} {'MiB':>7}")
    for case, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(f"{case:18} {middle['seconds']:8.2f} {middle['cpu']:8.2f} {middle['peak_mib']:7.0f}")
    print(f"\n{'ratio (median of rounds, lowest to highest)':58} {'goal':>12}")
    for name, over, under, goal in RATIOS:
        if over in found and under in found:
            ratios = [a["seconds"] / b["seconds"] for a, b in zip(found[over], found[under], strict=True)]
            middle_ratio = statistics.median(ratios)
            print(f"{name:58} {goal:>12}  {_figure(middle_ratio)} ({_figure(min(ratios))} to {_figure(max(ratios))})")


def _figure(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 1 else f"{ratio:.3f}"


def fresh(folder: Path, name: str, of: str | None = None) -> Lake:
    """An empty lake, or a copy of another."""
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    if of:
        shutil.copytree(folder / of, target)
    return lake_of(target)


def csv_pandas(folder: Path) -> None:
    """Read the five CSVs with pandas and write them as Parquet."""
    import pandas as pd

    target = folder / "pandas"
    target.mkdir(exist_ok=True)
    for path in sorted((folder / "whole").glob("*.csv")):
        pd.read_csv(path).to_parquet(target / f"{path.stem}.parquet")


def csv_bronze(folder: Path) -> None:
    """Ingest the five CSVs."""
    ingest(fresh(folder, "scratch-bronze"), str(folder / "whole"))


def bronze_silver(folder: Path) -> None:
    """Build silver from bronze."""
    build_silver(lake_of(folder / "scratch-silver"))


def _only_bronze(folder: Path) -> None:
    lake = fresh(folder, "scratch-silver")
    shutil.copytree(folder / "lake-whole" / "lake" / "bronze", Path(lake.root) / "bronze")


def increment(folder: Path) -> None:
    """Ingest and build the newest 1 % of the rows."""
    lake = lake_of(folder / "scratch-increment")
    ingest(lake, str(folder / "new"))
    build(lake)


def rebuild(folder: Path) -> None:
    """Ingest and build everything."""
    lake = fresh(folder, "scratch-rebuild")
    ingest(lake, str(folder / "whole"))
    build(lake)


CASES: dict[str, Callable[[Path], Any]] = {
    "csv_pandas": csv_pandas,
    "csv_bronze": csv_bronze,
    "bronze_silver": bronze_silver,
    "features_decode": lambda folder: features.decode(lake_of(folder / "lake-whole")),
    "features_pandas": lambda folder: features.with_pandas(lake_of(folder / "lake-whole")),
    "features_duckdb": lambda folder: features.with_duckdb(lake_of(folder / "lake-whole")),
    "features_one": lambda folder: features.gold(lake_of(folder / "lake-whole"), 1),
    "features_twelve": lambda folder: features.gold(lake_of(folder / "lake-whole"), 12),
    "increment": increment,
    "rebuild": rebuild,
}
NO_LAKE = {"csv_pandas", "csv_bronze", "rebuild"}
BEFORE = {
    "bronze_silver": _only_bronze,
    "increment": lambda folder: fresh(folder, "scratch-increment", of="lake-old") and None,
}
"""What a case needs before its time starts."""

if __name__ == "__main__":
    main()
