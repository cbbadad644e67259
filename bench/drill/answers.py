"""Kills workers of a server under load: every answer that reached its caller is in the prediction log, once."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
from shopsphere.v1 import clv_pb2, clv_pb2_grpc

from bench.drill.kills import shop
from grpc_server.server import running_server
from grpc_server.settings import ServerSettings
from lakehouse.build import build
from lakehouse.ingest import ingest
from lakehouse.predictions import PREDICTIONS
from lakehouse.settings import Settings
from lakehouse.storage import Lake
from training.constant import ConstantModel
from training.registry import Registry

WORKERS = 2
CALLERS = 4
ITEMS = 50
TIMEOUT = 30
SPREAD_SECONDS = 6.0
"""A worker is killed so long at most after the one before it is back."""


@dataclass
class Report:
    """What the callers got, what the log has of it, and how long it all took."""

    killed: int = 0
    seconds: float = 0.0
    answered: list[str] = field(default_factory=list)
    failed: int = 0
    logged: Counter[str] = field(default_factory=Counter)

    @property
    def lost(self) -> int:
        """Answers that callers have and the log has not."""
        return len(set(self.answered) - set(self.logged))

    @property
    def doubled(self) -> int:
        """Rows that are there more than once."""
        return sum(count > 1 for count in self.logged.values())


def drill(new_lake: Callable[[], Settings], folder: Path, *, kills: int, seed: int) -> Report:
    """Serve a small shop with two workers, kill one after the other at random moments, and compare."""
    given = new_lake()
    settings = ServerSettings(
        **{name: getattr(given, name) for name in Settings.model_fields},
        mlflow_tracking_uri="",
        mlflow_artifact_root="",
        grpc_port=0,
        rest_port=0,
        workers=WORKERS,
    )
    lake = Lake(settings)
    ingest(lake, str(shop(folder, 60)[0]))
    build(lake)
    model = ConstantModel("clv", output="clv_180d", value=3.5, defaults={"monetary": 7.0})
    info = Registry(settings).log("clv", model, example=({"monetary": np.array([1.0])}, {}), metrics={}, tags={})
    Registry(settings).set_champion("clv", info.version)
    customer = str(lake.scan("gold.customer_features").collect()["customer_id"][0])
    report, stop, begin = Report(), threading.Event(), time.monotonic()
    with running_server(settings) as address:
        callers = [threading.Thread(target=_call, args=(address.grpc, customer, report, stop)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        chance = random.Random(seed)  # noqa: S311 (moments, no secrets)
        while report.killed < kills:
            seen = len(report.answered)
            _wait(lambda: len(workers()) == WORKERS and len(report.answered) > seen)  # noqa: B023 (called at once)
            time.sleep(chance.uniform(0, SPREAD_SECONDS))
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers()), signal.SIGKILL)
                report.killed += 1
        stop.set()
        for caller in callers:
            caller.join()
    report.seconds = time.monotonic() - begin
    report.logged = Counter(lake.scan(PREDICTIONS).collect()["prediction_id"].to_list())
    return report


def workers() -> list[int]:
    """The living workers of servers of this process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            ours = int(parent) == os.getpid() and state != "Z"
            if ours and b"grpc_server.worker" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def _call(address: str, customer: str, report: Report, stop: threading.Event) -> None:
    """One by one and in batches, over a new connection now and then, so that every worker has its share."""
    one, many = clv_pb2.PredictClvRequest(customer_id=customer), clv_pb2.BatchPredictClvRequest
    while not stop.is_set():
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = clv_pb2_grpc.ClvServiceStub(channel)
            try:
                for _ in range(20):
                    report.answered.append(stub.PredictClv(one, timeout=TIMEOUT).metadata.prediction_id)
                batch = stub.BatchPredictClv(many(customer_ids=[customer] * ITEMS), timeout=TIMEOUT)
                report.answered.extend(f"{batch.metadata.batch_id}-{item}" for item in range(ITEMS))
            except grpc.RpcError:
                report.failed += 1
                stop.wait(0.05)


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        if time.monotonic() > deadline:
            raise RuntimeError("the server does not answer again within two minutes")
        time.sleep(0.02)
