"""Swaps models under load and says what callers notice; needs h2load.

    python -m bench.serving.swap              # what `make demo` left in var
    python -m bench.serving.swap --rounds 1 --in-flight 1

For each use case its two newest versions take turns as the champion, one swap after the other, while h2load keeps calls
in flight, and between these rounds as long without a swap, half of it with each version, of which the slower one
counts. Prints the 99th percentile of both and the median ratio, and how long the workers took; at the end all calls by
the server's own count of their outcomes. Workers keep to the first cores, h2load to the last.
"""

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

from bench.serving.calls import RPCS, some_ids
from bench.serving.copied import copied
from bench.serving.load import Target, grpc_target
from grpc_server.live import follow
from grpc_server.server import ServerAddress, running_server
from grpc_server.settings import ServerSettings
from training.registry import Registry
from training.use_cases import USE_CASES

METHODS = dict(zip(("clv", "propensity", "segmentation", "recommender", "pricing"), RPCS, strict=True))
HEADER = f"{'':14} {'quiet p99 ms':>12} {'swap p99 ms':>12} {'ratio':>6} {'swaps':>6} {'median s':>9} {'slowest s':>9}"


def main() -> None:
    """Swap each use case's model under load, and print a row for each."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.serving.swap", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--var", type=Path, default=Path("var"), help="Where lake and registry are.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--swaps", type=int, default=4, help="In a round.")
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shopsphere-bench-") as scratch:
        settings = copied(arguments.var, Path(scratch)).model_copy(update={"workers": arguments.workers})
        with running_server(settings) as address:
            print(HEADER, flush=True)
            for use_case in (entry.name for entry in USE_CASES):
                target, swaps = _target(settings, address, use_case), Swaps(settings, use_case)
                pairs = []
                for _ in range(arguments.rounds):
                    swapping = loaded(target, partial(swaps.run, arguments.swaps), in_flight=arguments.in_flight)
                    quiet = []
                    for _ in range(2):  # the two need not take the same time: the slower one's is quiet
                        swaps.run(1)
                        resting = partial(time.sleep, arguments.swaps / 2)
                        quiet.append(loaded(target, resting, in_flight=arguments.in_flight))
                    pairs.append((max(quiet), swapping))
                print(_row(use_case, pairs, swaps.seconds), flush=True)
            print("; ".join(_outcomes(address)))


def _row(use_case: str, pairs: list[tuple[float, float]], seconds: list[float]) -> str:
    quiet, swapping = (statistics.median(one) for one in zip(*pairs, strict=True))
    ratio = statistics.median(swap / calm for calm, swap in pairs)
    return (
        f"{use_case:14} {quiet:12.2f} {swapping:12.2f} {ratio:6.2f} {len(seconds):6} "
        f"{statistics.median(seconds):9.2f} {max(seconds):9.2f}"
    )


class Swaps:
    """Lets a use case's two newest versions take turns; `seconds` is how long the workers took each time."""

    def __init__(self, settings: ServerSettings, use_case: str) -> None:
        self._registry, self._serving, self._use_case = Registry(settings), settings.serving_dir("live"), use_case
        self._versions = cycle([info.version for info in self._registry.versions(use_case)][-2:])
        self.seconds: list[float] = []

    def run(self, count: int) -> None:
        """One swap after the other.

        Raises:
            RuntimeError: a worker did not take a version.
        """
        for _ in range(count):
            version = next(self._versions)
            self._registry.set_champion(self._use_case, version)
            followed = follow(self._serving, self._use_case, version)
            if followed is None or not followed.live:
                raise RuntimeError(f"version {version} of {self._use_case}: {followed}")
            self.seconds.append(followed.seconds)


def _target(settings: ServerSettings, address: ServerAddress, use_case: str) -> Target:
    method = METHODS[use_case]
    service, request = RPCS[method]
    kind = "product" if use_case == "pricing" else "customer"
    ids = some_ids(settings.serving_dir("live"), f"gold.{kind}_features")
    messages = [request(**{f"{kind}_id": ids[len(ids) // 2]}).SerializeToString()]
    path = f"/shopsphere.v1.{service}/{method}"
    return grpc_target(method, 0, address.grpc_port, method=path, messages=messages)


def loaded(target: Target, doing: Callable[[], None], *, in_flight: int) -> float:
    """The 99th percentile in milliseconds of calls that are in flight while something is done."""
    with tempfile.TemporaryDirectory() as scratch:
        body, log = Path(scratch) / "body", Path(scratch) / "log"
        body.write_bytes(target.bodies[0])
        core = str(sorted(os.sched_getaffinity(0))[-1])
        command = ["taskset", "-c", core, "h2load", "-D", "600", "-d", str(body), f"--log-file={log}"]
        command += ["-c", "2", "-m", str(max(in_flight // 2, 1))]
        for header in target.headers:
            command += ["-H", header]
        with subprocess.Popen([*command, target.url], stdout=subprocess.DEVNULL) as load:
            try:
                doing()
            finally:
                load.terminate()
        micros = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines() if line.count("\t") == 2)
    return micros[int(len(micros) * 0.99)] / 1000


def _outcomes(address: ServerAddress) -> list[str]:
    """Calls by their outcome, as one worker counted them."""
    with urllib.request.urlopen(f"{address.rest}/metrics") as response:  # noqa: S310 (our own server)
        text = response.read().decode()
    counts: dict[str, float] = {}
    for code, value in re.findall(r'^shopsphere_requests_total\{code="(\w+)".*\} ([\d.e+]+)$', text, re.MULTILINE):
        counts[code] = counts.get(code, 0) + float(value)
    return [f"{code}: {number:,.0f} calls" for code, number in sorted(counts.items())]


if __name__ == "__main__":
    main()
