"""The processes of a server: a dead one is replaced, SIGTERM loses no call, and nobody takes another one's place."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from shopsphere.v1 import clv_pb2, clv_pb2_grpc

from grpc_server.child import LONGEST_WAIT, SOUND_SECONDS, Child
from grpc_server.server import running_server
from grpc_server.server_lock import ServerRunsError
from grpc_server.supervisor import ServerStartError
from lakehouse.predictions import PREDICTIONS
from lakehouse.storage import Lake
from training.constant import ConstantModel
from training.registry import Registry

CUSTOMER = "1"
OWN = [("grpc.use_local_subchannel_pool", 1)]
"""Else all channels of a process share one connection, and one worker gets all calls."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory, tiny_lake, new_server_settings):
    """The small shop's lake, a constant CLV model as champion, two workers."""
    folder = tmp_path_factory.mktemp("processes")
    shutil.copytree(tiny_lake.root, folder / "lake")
    settings = new_server_settings(folder, workers=2)
    model = ConstantModel("clv", output="clv_180d", value=3.5, defaults={"monetary": 7.0})
    info = Registry(settings).log("clv", model, example=({"monetary": np.array([1.0])}, {}), metrics={}, tags={})
    Registry(settings).set_champion("clv", info.version)
    return settings


def until(reached, what, seconds=60.0):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)


def processes(settings, kind):
    """The living processes of that kind of the server that has this folder."""
    variable = f"SHOPSPHERE_VAR={settings.var_dir}\0".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            ours = variable in (path / "environ").read_bytes()
            if ours and state != "Z" and f"grpc_server.{kind}".encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def workers(settings):
    """The living workers."""
    return processes(settings, "worker")


class Load:
    """Threads that ask until they are told to stop, or the server has gone; what was answered, and what failed how."""

    def __init__(self, grpc_address, rest_port):
        self.answered, self.failures = [], Counter()
        self._stop = threading.Event()
        calls = [partial(self._grpc, grpc_address)] * 4 + [partial(self._rest, rest_port)] * 2
        self.threads = [threading.Thread(target=call) for call in calls]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self.threads:
            thread.join()

    def _grpc(self, address):
        one = clv_pb2.PredictClvRequest(customer_id=CUSTOMER)
        many = clv_pb2.BatchPredictClvRequest(customer_ids=[CUSTOMER] * 100)
        while not self._stop.is_set():
            with grpc.insecure_channel(address, options=OWN) as channel:
                stub = clv_pb2_grpc.ClvServiceStub(channel)
                try:
                    for _ in range(5):
                        self.answered.append(stub.PredictClv(one, timeout=30).metadata.prediction_id)
                    batch = stub.BatchPredictClv(many, timeout=30).metadata.batch_id
                    self.answered.extend(f"{batch}-{item}" for item in range(100))
                except grpc.RpcError as error:
                    self.failures[error.code().name] += 1

    def _rest(self, port):
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                for _ in range(5):
                    connection.request("POST", "/score/clv", json.dumps({"customer_id": CUSTOMER}))
                    self.answered.append(json.load(connection.getresponse())["prediction_id"])
            except (OSError, http.client.HTTPException) as error:
                self.failures[type(error).__name__] += 1
            finally:
                connection.close()


def logged(settings):
    """How often each answer is in the prediction log, which may not be there yet."""
    if not Lake(settings).exists(PREDICTIONS):
        return Counter()
    return Counter(Lake(settings).scan(PREDICTIONS).collect()["prediction_id"].to_list())


def number(rest, name):
    """A metric's number in a scrape."""
    with urllib.request.urlopen(f"{rest}/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_a_killed_worker_is_replaced_while_the_other_answers(settings):
    """Under load: whatever was answered is logged once, counters go on, and the restart is counted."""
    with running_server(settings) as address:
        assert len(workers(settings)) == 2
        with Load(address.grpc, address.rest_port) as load:
            until(lambda: len(load.answered) > 200, "no answers")
            counts = number(address.rest, "shopsphere_requests_total")
            os.kill(workers(settings)[0], signal.SIGKILL)
            seen = len(load.answered)
            until(lambda: len(load.answered) > seen + 1000, "the other worker does not answer")
            until(lambda: len(workers(settings)) == 2, "it was not replaced")
            restarts = 'shopsphere_process_restarts_total{process="worker"}'
            until(lambda: number(address.rest, restarts) == 1, "its restart was not counted")
        assert number(address.rest, "shopsphere_requests_total") > counts + 10
        until(lambda: number(address.rest, "shopsphere_in_flight") == 0, "calls in flight that there are not")
    found = logged(settings)
    assert set() == set(load.answered) - set(found)
    assert max(found.values()) == 1


def test_sigterm_answers_every_call_that_was_taken(settings):
    """To the command, under load over gRPC and REST: whatever is in the log has reached its caller."""
    before = logged(settings)
    ports = settings.model_copy(update={"grpc_port": _free_port(), "rest_port": _free_port()})
    command = [str(Path(sys.executable).parent / "shopsphere"), "serve"]
    process = subprocess.Popen(command, env=ports.environment(), stdout=subprocess.PIPE, text=True)
    assert "gRPC on" in process.stdout.readline()
    with process, Load(f"127.0.0.1:{ports.grpc_port}", ports.rest_port) as load:
        until(lambda: len(load.answered) > 500, "no answers")
        process.terminate()
        assert process.wait(60) == 0
        until(lambda: load.failures, "callers do not see that it has gone")
    assert set(load.answered) == set(logged(settings) - before)
    assert {"UNAVAILABLE", "CANCELLED"} >= {name for name in load.failures if name.isupper()}


def test_processes_that_start_as_the_supervisor_dies_end_too(settings):
    """Killed while they import, it leaves no orphan: they know whose children they are before they look."""
    ports = settings.model_copy(update={"grpc_port": _free_port(), "rest_port": _free_port()})
    command = [str(Path(sys.executable).parent / "shopsphere"), "serve"]

    def left(*kinds):
        return [pid for kind in kinds for pid in processes(settings, kind)]

    with subprocess.Popen(command, env=ports.environment()) as process:
        until(lambda: left("follower") and len(left("worker")) == 2, "they were not started")
        started = left("follower", "worker")
        for pid in started:
            os.kill(pid, signal.SIGSTOP)  # none gets beyond its imports before the supervisor has gone
        process.kill()
    for pid in started:
        os.kill(pid, signal.SIGCONT)
    try:
        until(lambda: not left("follower", "worker"), "they live on as orphans")
    finally:
        for pid in left("follower", "worker"):
            os.kill(pid, signal.SIGKILL)


def test_a_second_server_of_the_name_is_refused(settings):
    """By one sentence that says what to do; the first serves on, and so may one of another name."""
    with running_server(settings) as address:
        with (
            pytest.raises(ServerRunsError, match="runs already on"),
            running_server(settings),
        ):
            pass
        with grpc.insecure_channel(address.grpc) as channel:
            request = clv_pb2.PredictClvRequest(customer_id=CUSTOMER)
            assert clv_pb2_grpc.ClvServiceStub(channel).PredictClv(request).clv_180d == 3.5


def test_a_past_date_without_rows_is_refused(settings):
    """It would find nobody; what is said is what to do."""
    with (
        pytest.raises(ServerStartError, match="run `shopsphere build --as-of 2015-01-01`"),
        running_server(settings, as_of=datetime(2015, 1, 1)),
    ):
        pass


def test_a_process_that_keeps_dying_is_started_ever_later():
    """At once the first time, then after 1, 2, 4 and at most 30 seconds; after a sound life at once again."""
    clock = SimpleNamespace(now=0.0)
    child = Child("worker", lambda: subprocess.Popen(["/bin/true"]), clock=lambda: clock.now)
    waits = []
    for _ in range(8):
        child.process.wait()
        died, pid = clock.now, child.process.pid
        assert child.died()
        while child.process.pid == pid:
            clock.now += 0.25
            assert not child.died()
        waits.append(clock.now - died)
    assert [int(wait) for wait in waits] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert LONGEST_WAIT == 30
    child.process.wait()
    clock.now += SOUND_SECONDS + 1
    assert child.died()
    child.process.wait()


def _free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_worker_keeps_to_one_core():
    """Counted on where there are fewer."""
    code = "import os; from grpc_server.worker import _pin; _pin(1001); print(len(os.sched_getaffinity(0)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"
