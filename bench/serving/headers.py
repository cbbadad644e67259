"""Times a call whose headers are the same every time beside one whose headers change, as with tracing; needs ghz.

    go install github.com/bojand/ghz/cmd/ghz@v0.120.0
    python -m bench.serving.headers --ghz ~/go/bin/ghz

HTTP/2 sends a header that it has sent before as a number; a new one goes out whole and enters the table of both sides.
ghz asks for another customer in every call, too. The worker is on the first core, ghz on the last.
"""

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from bench.serving.calls import some_ids
from bench.serving.load import cpu_seconds
from bench.serving.ours import our_server, worker

PROTO = Path(__file__).parents[2] / "proto"
HEADERS = {
    "the same": {
        "x-request-id": "0af76519-16cd-43dd-8448-eb211c80319c",
        "x-trace-id": "b7ad6b71-6920-3331-8448-eb211c80319c",
    },
    "changing": {"x-request-id": "{{.UUID}}", "x-trace-id": "{{newUUID}}"},
}


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.serving.headers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--var", type=Path, default=Path("var"), help="Where lake and registry are.")
    parser.add_argument("--ghz", default="ghz")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=5_000, help="Of each kind in a round.")
    arguments = parser.parse_args()
    core = max(os.sched_getaffinity(0))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in HEADERS}
    with our_server(arguments.var) as (serving, address):
        asked = [{"customer_id": one} for one in some_ids(serving, "gold.customer_features")]
        for number in range(arguments.rounds + 1):
            for name, headers in HEADERS.items():
                taken = burst(arguments.ghz, address.grpc, asked, headers, calls=arguments.calls, core=core)
                if number:  # the first round warms up
                    found[name].append(taken)
    print(f"{'headers':12} {'calls/s':>8} {'CPU us':>7}")
    for name, rows in found.items():
        rate, cpu = (statistics.median(one[place] for one in rows) for place in (0, 1))
        print(f"{name:12} {rate:8.0f} {cpu:7.0f}")
    ratios = [new[1] / old[1] for old, new in zip(found["the same"], found["changing"], strict=True)]
    print(f"CPU of a call with changing headers over one with the same: {statistics.median(ratios):.2f}")


def burst(
    ghz: str, address: str, asked: Sequence[object], headers: Mapping[str, str], *, calls: int, core: int
) -> tuple[float, float]:
    """Calls per second, and CPU microseconds of one.

    Raises:
        RuntimeError: a call failed.
    """
    command = ["taskset", "-c", str(core), ghz, "--insecure", "--call", "shopsphere.v1.ClvService/PredictClv"]
    command += ["--proto", "shopsphere/v1/clv.proto", "--import-paths", str(PROTO), "--format", "json"]
    command += ["--connections", "1", "--concurrency", "32", "--total", str(calls)]
    command += ["--data", json.dumps(asked), "--metadata", json.dumps(headers), address]
    before = cpu_seconds(worker())
    told = orjson.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    if told["statusCodeDistribution"] != {"OK": calls}:
        raise RuntimeError(told["statusCodeDistribution"])
    return told["rps"], (cpu_seconds(worker()) - before) / calls * 1e6


if __name__ == "__main__":
    main()
