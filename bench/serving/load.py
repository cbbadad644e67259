"""One burst of load by h2load from the other core, and what it cost the server."""

import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """Something that answers: its process, address, bodies of calls and what else h2load needs to send them."""

    name: str
    pid: int
    url: str
    bodies: Sequence[bytes]
    headers: tuple[str, ...]


@dataclass(frozen=True)
class Burst:
    """Calls per second, CPU microseconds a call, and 50th and 99th percentile of the time to answer in milliseconds."""

    calls_per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


def grpc_target(name: str, pid: int, port: int, *, method: str, messages: Sequence[bytes]) -> Target:
    """A unary gRPC call."""
    framed = [b"\0" + len(message).to_bytes(4, "big") + message for message in messages]
    headers = ("content-type: application/grpc", "te: trailers")
    return Target(name, pid, f"http://127.0.0.1:{port}{method}", framed, headers)


def json_target(name: str, pid: int, port: int, *, path: str, bodies: Sequence[bytes]) -> Target:
    """A POST over HTTP/1.1."""
    return Target(name, pid, f"http://127.0.0.1:{port}{path}", bodies, ("content-type: application/json",))


def burst(target: Target, *, calls: int, in_flight: int, core: int, turn: int) -> Burst:
    """Send `calls` with `in_flight` of them at once; `turn` chooses the body, as h2load sends one over and over.

    Raises:
        RuntimeError: a call failed.
    """
    http1 = "content-type: application/json" in target.headers
    with tempfile.TemporaryDirectory() as scratch:
        body, log = Path(scratch) / "body", Path(scratch) / "log"
        body.write_bytes(target.bodies[turn % len(target.bodies)])
        command = ["taskset", "-c", str(core), "h2load", "-n", str(calls), "-d", str(body), f"--log-file={log}"]
        # HTTP/1.1 has one call on a connection at a time
        command += ["--h1", "-c", str(in_flight)] if http1 else ["-c", "1", "-m", str(in_flight)]
        for header in target.headers:
            command += ["-H", header]
        before = cpu_seconds(target.pid)
        output = subprocess.run([*command, target.url], capture_output=True, text=True, check=True).stdout
        cpu = cpu_seconds(target.pid) - before
        millis = sorted(int(line.split("\t")[2]) / 1000 for line in log.read_text().splitlines())
    rate = re.search(r"([\d.]+) req/s", output)
    succeeded = re.search(r"(\d+) succeeded", output)
    if rate is None or succeeded is None or int(succeeded[1]) != calls:
        raise RuntimeError(f"{target.name}: {output}")
    return Burst(float(rate[1]), cpu / calls * 1e6, statistics.median(millis), millis[int(len(millis) * 0.99)])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK
