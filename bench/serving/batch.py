"""Times batches of 1,000 over gRPC, lookup and log included, beside single calls; needs h2load.

    python -m bench.serving.batch             # what `make demo` left in var
    python -m bench.serving.batch --rounds 1

The worker is on the first core, h2load on the last, two batches are in flight. Prints rows per second and the CPU of a
row for batches of ids alone, of CLV also with packed columns of features and as row messages, and for single calls.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from shopsphere.v1 import clv_pb2, pricing_pb2, propensity_pb2, recommender_pb2, segmentation_pb2

from bench.serving.calls import RPCS, ids_of
from bench.serving.load import Burst, Target, burst, grpc_target
from bench.serving.ours import our_server, worker
from grpc_server.checks import MAX_ITEMS

IN_FLIGHT = 2
FEATURES = {"recency_days": 3.0, "tx_count": 4, "monetary": 120.0, "avg_discount": 0.1}
SINGLE = "single calls"


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.serving.batch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--var", type=Path, default=Path("var"), help="Where lake and registry are.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=50, help="Of each kind in a round.")
    arguments = parser.parse_args()
    with our_server(arguments.var) as (serving, address):
        targets = dict(kinds(serving, worker(), address.grpc_port))
        report(targets, rounds=arguments.rounds, batches=arguments.batches, core=max(os.sched_getaffinity(0)))


def kinds(serving: Path, pid: int, port: int) -> Iterator[tuple[str, Target]]:
    """What is timed, by name; those of batches hold `MAX_ITEMS` rows."""
    customers = ids_of(serving, "gold.customer_features", MAX_ITEMS)
    products = ids_of(serving, "gold.product_features", MAX_ITEMS)
    columns = {name: np.full(MAX_ITEMS, value).tolist() for name, value in FEATURES.items()}
    rows = [clv_pb2.PredictClvRequest(customer_id=one, features=clv_pb2.ClvFeatures(**FEATURES)) for one in customers]
    clv = clv_pb2.BatchPredictClvRequest
    batches = {
        "PredictClv": clv(customer_ids=customers),
        "ScorePropensity": propensity_pb2.BatchScorePropensityRequest(customer_ids=customers),
        "AssignSegment": segmentation_pb2.BatchAssignSegmentRequest(customer_ids=customers),
        "Recommend": recommender_pb2.BatchRecommendRequest(customer_ids=customers),
        "SuggestPrice": pricing_pb2.BatchSuggestPriceRequest(product_ids=products),
    }
    for name, message in batches.items():
        yield f"{name}, ids", _target(f"{RPCS[name][0]}/Batch{name}", pid, port, message)
    columned = clv(customer_ids=customers, columns=clv_pb2.ClvFeatureColumns(**columns))
    yield "PredictClv, columns", _target("ClvService/BatchPredictClv", pid, port, columned)
    yield "PredictClv, row messages", _target("ClvService/BatchPredictClv", pid, port, clv(requests=rows))
    single = clv_pb2.PredictClvRequest(customer_id=customers[0])
    yield f"PredictClv, {SINGLE}", _target("ClvService/PredictClv", pid, port, single)


def _target(method: str, pid: int, port: int, message: object) -> Target:
    encoded: bytes = message.SerializeToString()  # type: ignore[attr-defined]  # every message has it
    return grpc_target(method, pid, port, method=f"/shopsphere.v1.{method}", messages=[encoded])


def report(targets: dict[str, Target], *, rounds: int, batches: int, core: int) -> None:
    """Rounds in which every kind has its turn; the median of what they gave."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in targets}
    for number in range(rounds + 1):
        for name, target in targets.items():
            items, calls, in_flight = (1, 50 * batches, 32) if SINGLE in name else (MAX_ITEMS, batches, IN_FLIGHT)
            taken: Burst = burst(target, calls=calls, in_flight=in_flight, core=core, turn=number)
            if number:  # the first round warms up
                found[name].append((taken.calls_per_second * items, taken.cpu_us / items))
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    single = found[f"PredictClv, {SINGLE}"]
    print(f"{'':26} {'rows/s':>8} {'CPU us a row':>12} {'÷ single calls':>14}")
    for name, rows in found.items():
        times = statistics.median(mine[0] / theirs[0] for mine, theirs in zip(rows, single, strict=True))
        rate, cpu = (statistics.median(one[place] for one in rows) for place in (0, 1))
        print(f"{name:26} {rate:8.0f} {cpu:12.1f} {times:14.1f}")


if __name__ == "__main__":
    main()
