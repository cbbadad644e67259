"""What a worker costs: seconds and CPU until its first answer, and its memory, on a snapshot of a million customers.

    python -m bench.serving.workers                   # models and rows of what `make demo` left in var
    python -m bench.serving.workers --customers 100000

The rows of the real customers are repeated under new ids, with 20 products of each one's history at most. Memory is the
proportional set size (what a process has alone, and its share of what it has with others), after calls over all.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from shopsphere.v1 import clv_pb2, clv_pb2_grpc, recommender_pb2, recommender_pb2_grpc

from bench.serving.copied import copied
from bench.serving.load import cpu_seconds
from grpc_server.champions import POINTER, read_pointer
from grpc_server.online_features import PLACES, FeatureSnapshot, write_snapshot
from grpc_server.server import running_server
from grpc_server.settings import ServerSettings

BATCHES = 500
ITEMS = 1000
PRODUCTS = 20


@dataclass(frozen=True)
class Started:
    """A worker that answers, and what it took until then."""

    process: subprocess.Popen[bytes]
    port: int
    seconds: float
    cpu: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.serving.workers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--var", type=Path, default=Path("var"), help="Where lake and registry are.")
    parser.add_argument("--customers", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shopsphere-bench-") as scratch:
        settings = copied(given.var, Path(scratch))
        with running_server(settings):
            pass  # its follower drops the models and snapshots
        folder = settings.serving_dir("live")
        customer_ids = enlarge(folder, given.customers)
        size = sum(path.stat().st_size for path in folder.glob("features/*/*-large/*.npy"))
        print(f"{given.customers:,} customers, snapshots of {size >> 20:,} MiB")
        print("workers  first answer s      CPU s  PSS MiB of each  of it own     sum")
        sums = []
        for count in (1, 2):
            with workers(settings, count) as started:
                for worker in started:
                    call(worker.port, customer_ids)
                sums.append(report(started))
        print(f"a further worker takes {sums[1] - sums[0]:.0f} MiB")


def report(started: list[Started]) -> float:
    """One line of the table; gives the sum."""
    memory = [_memory(worker.process.pid) for worker in started]

    def shown(numbers: Iterable[float], form: str) -> str:
        return ", ".join(format(number, form) for number in numbers)

    seconds, cpu = shown((one.seconds for one in started), ".2f"), shown((one.cpu for one in started), ".2f")
    pss, own = shown((one["Pss"] for one in memory), ".0f"), shown((one["Anonymous"] for one in memory), ".0f")
    total = sum(one["Pss"] for one in memory)
    print(f"{len(started):7} {seconds:>15} {cpu:>10} {pss:>16} {own:>14} {total:6.0f}", flush=True)
    return total


def enlarge(folder: Path, customers: int) -> list[str]:
    """Give the snapshots of customers so many by repeating them, and say some of their ids."""
    pointer: Any = read_pointer(folder)
    features = dict(pointer["features"])
    for table, path in features.items():
        snapshot = FeatureSnapshot(folder / path)
        if snapshot.key != "customer_id":
            continue
        large = f"{path}-large"
        arrays = _repeated(snapshot.arrays(), customers)
        write_snapshot(
            folder / large,
            table=table,
            version=snapshot.version,
            as_of=snapshot.as_of,
            key=snapshot.key,
            arrays=arrays,
        )
        features[table] = large
    (folder / POINTER).write_text(json.dumps({**pointer, "features": features}))
    return [str(number) for number in np.random.default_rng(1).integers(1, customers, BATCHES * ITEMS)]


def _repeated(arrays: Mapping[str, Any], customers: int) -> dict[str, Any]:
    count = len(arrays["customer_id"])
    times = -(-customers // count)
    histories = [name for name in arrays if name.startswith("history_")]
    found = {name: np.tile(array, times)[:customers] for name, array in arrays.items() if name not in histories}
    if histories:
        starts, ends = (arrays[name] for name in PLACES)
        lengths = np.minimum(ends - starts, PRODUCTS)
        new_ends = np.cumsum(lengths)
        kept = np.repeat(starts - (new_ends - lengths), lengths) + np.arange(new_ends[-1])
        shift = np.repeat(np.arange(times) * new_ends[-1], count)[:customers]
        ends = np.tile(new_ends, times)[:customers] + shift
        found |= dict(zip(PLACES, (ends - np.tile(lengths, times)[:customers], ends), strict=True))
        found |= {name: np.tile(arrays[name][kept], times) for name in histories}
    return {**found, "customer_id": np.arange(1, customers + 1)}


@contextmanager
def workers(settings: ServerSettings, count: int) -> Iterator[list[Started]]:
    """So many, started one after the other, each on ports of its own."""
    started: list[Started] = []
    try:
        for number in range(count):
            started += [start(settings, number)]
        yield started
    finally:
        for worker in started:
            worker.process.terminate()
            worker.process.wait()


def start(settings: ServerSettings, number: int) -> Started:
    """Start a worker and wait for its first answer."""
    port = _free_port()
    given = settings.model_copy(update={"grpc_port": port, "rest_port": _free_port()})
    command = [sys.executable, "-m", "grpc_server.worker", "live", str(number), str(number)]
    command += ["--parent", str(os.getpid())]
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=given.environment(), stderr=subprocess.DEVNULL)
    while True:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                clv_pb2_grpc.ClvServiceStub(channel).PredictClv(clv_pb2.PredictClvRequest(customer_id="1"), timeout=60)
            return Started(process, port, time.perf_counter() - begin, cpu_seconds(process.pid))
        except grpc.RpcError:
            if process.poll() is not None:
                raise RuntimeError("the worker ended") from None
            time.sleep(0.01)


def call(port: int, customer_ids: list[str]) -> None:
    """Ask about many customers, so that the pages of the snapshot are mapped."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        clv, recommender = clv_pb2_grpc.ClvServiceStub(channel), recommender_pb2_grpc.RecommenderServiceStub(channel)
        for first in range(0, len(customer_ids), ITEMS):
            clv.BatchPredictClv(clv_pb2.BatchPredictClvRequest(customer_ids=customer_ids[first : first + ITEMS]))
        for customer_id in customer_ids[:5000]:
            recommender.Recommend(recommender_pb2.RecommendRequest(customer_id=customer_id))


def _memory(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
