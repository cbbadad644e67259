"""Times the five unary calls against references, all up together, in interleaved rounds; needs h2load.

    python -m bench.serving                   # what `make demo` left in var
    python -m bench.serving --rounds 1 --calls 1000

Servers are on the first core, h2load on the last. Prints calls per second and CPU of a call with 32 in flight, and
its latency at light load (one in flight).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import orjson
from shopsphere.v1 import clv_pb2, propensity_pb2

from bench.serving import mlserver_rival
from bench.serving.calls import RPCS, some_ids
from bench.serving.copied import copied
from bench.serving.load import Burst, Target, burst, grpc_target, json_target
from bench.serving.ours import keep_to, wait_for_precomputed, worker
from grpc_server.champions import read_pointer
from grpc_server.server import running_server
from grpc_server.settings import ServerSettings

IN_FLIGHT = 32
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For rivals, whose models would wait for threads that share the one core."""


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--var", type=Path, default=Path("var"), help="Where lake and registry are.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=5_000, help="Of each candidate in a round.")
    parser.add_argument("--mlserver", action="store_true", help="Also MLServer, whose packages are fetched.")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="shopsphere-bench-") as scratch:
        settings = copied(arguments.var, Path(scratch))
        with candidates(settings, cores[0], mlserver=arguments.mlserver) as targets:
            for target in targets:
                keep_to(target.pid, cores[0])
            report(targets, rounds=arguments.rounds, calls=arguments.calls, core=cores[-1])


@contextmanager
def candidates(settings: ServerSettings, core: int, *, mlserver: bool) -> Iterator[list[Target]]:
    """All servers, up together."""
    started: list[subprocess.Popen[str]] = []

    def start(module: str, *arguments: str) -> tuple[int, int]:
        command = [sys.executable, "-m", f"bench.serving.{module}", str(core), *arguments]
        environment = {**os.environ, **ONE_THREAD, **settings.environment()}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        started.append(process)
        assert process.stdout
        return process.pid, int(process.stdout.readline())

    with running_server(settings) as address:
        try:
            serving = settings.serving_dir("live")
            wait_for_precomputed(serving)
            customers = some_ids(serving, "gold.customer_features")
            products = some_ids(serving, "gold.product_features")
            targets = [grpc_target("empty", *start("empty"), method="/bench.Empty/Call", messages=[b""])]
            for name, (service, request) in RPCS.items():
                asked = (
                    [request(product_id=entity) for entity in products]
                    if name == "SuggestPrice"
                    else [request(customer_id=entity) for entity in customers]
                )
                messages = [message.SerializeToString() for message in asked]
                method = f"/shopsphere.v1.{service}/{name}"
                targets.append(grpc_target(name, worker(), address.grpc_port, method=method, messages=messages))
            campaign = _campaign(serving)
            messages = [
                propensity_pb2.ScorePropensityRequest(customer_id=entity, campaign_id=campaign).SerializeToString()
                for entity in customers
            ]
            method = "/shopsphere.v1.PropensityService/ScorePropensity"
            targets.append(
                grpc_target("  of a named campaign", worker(), address.grpc_port, method=method, messages=messages)
            )
            fastapi = start("fastapi_onnx", str(serving), str(settings.spool_dir / "bench"))
            bodies = [orjson.dumps({"customer_id": entity}) for entity in customers]
            targets.append(json_target("FastAPI + onnxruntime", *fastapi, path="/score/clv", bodies=bodies))
            targets.append(json_target("FastAPI, precomputed", *fastapi, path="/precomputed/clv", bodies=bodies))
            features = {field.name: 1.0 for field in clv_pb2.ClvFeatures.DESCRIPTOR.fields}
            old = orjson.dumps({"customer_id": 1, "features": features})
            targets.append(
                json_target("old system", *start("old_system", str(serving)), path="/score/clv", bodies=[old])
            )
            if mlserver:
                targets.append(_mlserver(core, started))
            yield targets
        finally:
            for process in started:
                process.terminate()
                process.wait()


def _campaign(serving: Path) -> str:
    """Some campaign's id."""
    pointer = read_pointer(serving)
    assert pointer
    return str(orjson.loads((serving / pointer["campaigns"]).read_bytes())[0]["campaign_id"])


def _mlserver(core: int, started: list[subprocess.Popen[str]]) -> Target:
    """MLServer in an environment that uv makes for it."""
    packages = [word for name in mlserver_rival.REQUIREMENTS for word in ("--with", name)]
    command = [Path(sys.executable).with_name("uv"), "run", "--no-project", "--isolated", *packages]
    command += ["python", mlserver_rival.__file__, str(core)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **ONE_THREAD}
    )
    started.append(process)
    assert process.stdout
    pid, port, body = process.stdout.readline().split()
    threading.Thread(target=process.stdout.read, daemon=True).start()  # it goes on to talk
    method = "/inference.GRPCInferenceService/ModelInfer"
    _answers(int(port))
    return grpc_target("MLServer + LightGBM", int(pid), int(port), method=method, messages=[bytes.fromhex(body)])


def _answers(port: int) -> None:
    """Wait until something listens.

    Raises:
        grpc.FutureTimeoutError: nothing does.
    """
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(60)


def report(targets: list[Target], *, rounds: int, calls: int, core: int) -> None:
    """Rounds in which every target has its turn; the median of what they gave."""
    busy: dict[str, list[Burst]] = {target.name: [] for target in targets}
    light: dict[str, list[Burst]] = {target.name: [] for target in targets}
    for number in range(rounds + 1):
        for target in targets:
            few = max(calls // 20, 100) if target.name == "old system" else calls
            heavy = burst(target, calls=few, in_flight=IN_FLIGHT, core=core, turn=number)
            alone = burst(target, calls=max(few // 5, 100), in_flight=1, core=core, turn=number)
            if number:  # the first round warms up
                busy[target.name].append(heavy)
                light[target.name].append(alone)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    print(f"{'':24} {'calls/s':>8} {'CPU us':>7} {'÷ empty':>8} {'p50 ms':>7} {'p99 ms':>7} {'p99 ÷ empty':>11}")
    for name, bursts in busy.items():
        share = statistics.median(
            ours.calls_per_second / empty.calls_per_second for ours, empty in zip(bursts, busy["empty"], strict=True)
        )
        tail = statistics.median(
            ours.p99_ms / empty.p99_ms for ours, empty in zip(light[name], light["empty"], strict=True)
        )
        calls_per_second, cpu = (
            statistics.median(getattr(one, field) for one in bursts) for field in ("calls_per_second", "cpu_us")
        )
        p50, p99 = (statistics.median(getattr(one, field) for one in light[name]) for field in ("p50_ms", "p99_ms"))
        print(f"{name:24} {calls_per_second:8.0f} {cpu:7.0f} {share:8.2f} {p50:7.2f} {p99:7.2f} {tail:11.1f}")


if __name__ == "__main__":
    main()
