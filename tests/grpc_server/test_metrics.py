"""One scrape tells of all processes of a server, and nothing counted is lost or taken back."""

import re
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import grpc
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from shopsphere.v1 import clv_pb2, clv_pb2_grpc

from grpc_server import counters
from grpc_server.counters import Counters, read_counters
from grpc_server.metric_families import FAMILIES, RESTARTS
from grpc_server.metrics import Metrics
from grpc_server.prediction_log import FILE_BYTES, PredictionLog
from grpc_server.shipping import Shipper
from grpc_server.state import State, StateHolder
from lakehouse.settings import Settings
from lakehouse.storage import Lake

METHOD = "/shopsphere.v1.ClvService/PredictClv"


def numbers(text, name, *labels):
    """A metric's numbers by the values of some of its labels."""
    samples = (sample for family in text_string_to_metric_families(text.decode()) for sample in family.samples)
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in samples if sample.name == name}


def call(metrics, seconds, code="OK", transport="grpc"):
    """Record one call."""
    metrics.started()
    metrics.observe(METHOD, code=code, version=3 if code == "OK" else 0, transport=transport, seconds=seconds)


def test_a_scrape_of_any_worker_tells_of_all(tmp_path, state):
    """Counts and calls in flight are sums, ages those of the oldest snapshot, a model is there once."""
    older = {table: SimpleNamespace(as_of=datetime(2024, 1, 1)) for table in state.features}
    holders = [StateHolder(), StateHolder()]
    holders[0].swap(state)
    holders[1].swap(State(state.models, older))
    one, other = (Metrics(holder, folder=tmp_path, slot=f"worker-{n}") for n, holder in enumerate(holders))
    call(one, 0.0007)
    call(one, 0.3, code="NOT_FOUND", transport="rest")
    call(other, 0.0007)
    call(other, 99)
    other.observe_model("clv", 0.00002)
    other.observe_queue(0.002)
    one.started()
    other.started()
    Counters(tmp_path / "supervisor.counters").add(RESTARTS.name, "worker")

    other.refresh()
    text = one.text()
    other_lines = {line for line in other.text().splitlines() if b"feature_age" not in line}
    assert {line for line in text.splitlines() if b"feature_age" not in line} == other_lines
    labels = ("service", "method", "code", "model_version", "transport")
    assert numbers(text, "shopsphere_requests_total", *labels) == {
        ("ClvService", "PredictClv", "OK", "3", "grpc"): 3.0,
        ("ClvService", "PredictClv", "NOT_FOUND", "", "rest"): 1.0,
    }
    buckets = numbers(text, "shopsphere_request_seconds_bucket", "transport", "le")
    assert [buckets["grpc", bound] for bound in ("0.0005", "0.001", "2.5", "+Inf")] == [0, 2, 2, 3]
    sums = numbers(text, "shopsphere_request_seconds_sum", "transport")
    assert sums == pytest.approx({("grpc",): 99.0014, ("rest",): 0.3})
    assert numbers(text, "shopsphere_model_seconds_count", "use_case") == {("clv",): 1.0}
    assert numbers(text, "shopsphere_queue_seconds_count") == {(): 1.0}
    assert numbers(text, "shopsphere_in_flight") == numbers(text, "shopsphere_workers_ready") == {(): 2.0}
    assert set(numbers(text, "shopsphere_model_info", "use_case").values()) == {1.0}
    ages = numbers(text, "shopsphere_feature_age_seconds", "table")
    assert pytest.approx(time.time() - datetime(2024, 1, 1).timestamp(), abs=86_500) == ages["gold.interactions",]
    assert numbers(text, "shopsphere_process_restarts_total", "process") == {("worker",): 1.0}
    assert list(numbers(text, "shopsphere_build_info", "version").values()) == [1.0]


def test_a_worker_that_takes_another_ones_place_goes_on_counting(tmp_path):
    """What a killed one had counted stays; its calls in flight and its models are gone."""
    script = (
        "import os, sys; from pathlib import Path; from types import SimpleNamespace\n"
        "from grpc_server.metrics import Metrics; from grpc_server.state import State, StateHolder\n"
        "holder = StateHolder(); metrics = Metrics(holder, folder=Path(sys.argv[1]))\n"
        "holder.swap(State({'clv': SimpleNamespace(version=1, alias='champion')}))\n"
        "metrics.started(); metrics.started()\n"
        f"metrics.observe({METHOD!r}, code='OK', version=3, transport='grpc', seconds=0.1)\n"
        "metrics.count_dropped(); os.kill(os.getpid(), 9)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    metrics = Metrics(StateHolder(), folder=tmp_path)
    call(metrics, 0.1)
    text = metrics.text()
    assert list(numbers(text, "shopsphere_requests_total").values()) == [3.0]
    assert list(numbers(text, "shopsphere_request_seconds_count").values()) == [3.0]
    assert list(numbers(text, "shopsphere_log_dropped_total").values()) == [2.0]
    assert list(numbers(text, "shopsphere_in_flight").values()) == [0.0]
    assert numbers(text, "shopsphere_model_info") == {}


def test_a_model_that_is_replaced_is_told_no_more(state):
    """Only what answers now is there."""
    holder = StateHolder()
    holder.swap(state)
    metrics = Metrics(holder)
    holder.swap(State({"clv": state.models["clv"]}))
    assert list(numbers(metrics.text(), "shopsphere_model_info", "use_case", "version")) == [("clv", "3")]


def one(text, name):
    """A metric that has one number."""
    (number,) = numbers(text, name).values()
    return number


def test_the_log_tells_what_waits_and_what_it_takes(tmp_path):
    """Closed files of all writers and the open ones, in records and bytes, and what was dropped."""
    metrics = Metrics(StateHolder(), folder=tmp_path / "metrics")
    log = PredictionLog(tmp_path / "spool", limit_bytes=2 * FILE_BYTES, on_drop=metrics.count_dropped)
    metrics.watch(log)
    closed = PredictionLog(tmp_path / "spool")
    for _ in range(3):
        closed.append(b'{"ids": []}')
    closed.close()
    log.append(b"{}")
    text = metrics.text()
    assert one(text, "shopsphere_log_backlog_records") == 4
    assert one(text, "shopsphere_log_backlog_bytes") == 3 * 12 + 3
    assert one(text, "shopsphere_spool_bytes") == 3 * 12 + FILE_BYTES
    assert one(text, "shopsphere_spool_limit_bytes") == 2 * FILE_BYTES
    assert (one(text, "shopsphere_log_dropped_total"), one(text, "shopsphere_log_refusing")) == (0, 0)
    log.append(b"x" * 3 * FILE_BYTES)
    text = metrics.text()
    assert (one(text, "shopsphere_log_dropped_total"), one(text, "shopsphere_log_refusing")) == (1, 1)


def test_what_is_shipped_and_what_cannot_be_is_counted(tmp_path):
    """A lake that takes nothing leaves the records in the spool, for the next attempt."""
    record = {"ids": ["p"], "entity_ids": ["1"], "use_case": "clv", "model_name": "clv", "alias": "champion"}
    record |= {"feature_table": None, "feature_version": None, "as_of": None, "columns": {"clv_180d": [1.0]}}
    record |= {"predicted_at": "2024-01-01T00:00:00", "model_version": 1}
    record |= {name: [[]] for name in ("request_features", "default_features", "warnings")}
    log = PredictionLog(tmp_path / "spool")
    log.append(orjson.dumps(record))
    log.close()
    metrics = Metrics(StateHolder(), folder=tmp_path / "metrics")
    (tmp_path / "file").touch()
    shipped = []
    for root in (tmp_path / "file" / "lake", tmp_path / "lake"):
        lake = Lake(Settings(var_dir=tmp_path, lake_root=str(root)))
        with Shipper(tmp_path / "spool", lake, Counters(tmp_path / "metrics" / "follower.counters")):
            pass
        names = ("shopsphere_log_ship_failures_total", "shopsphere_log_shipped_records_total")
        shipped.append(tuple(one(metrics.text(), name) for name in names))
    assert shipped == [(1, 0), (1, 1)]


def test_what_callers_send_makes_no_series(channel, core):
    """An unknown method, service or model is not counted under its name."""
    call = clv_pb2_grpc.ClvServiceStub(channel).PredictClv
    call(clv_pb2.PredictClvRequest(customer_id="1"))
    for method in ("/shopsphere.v1.ClvService/Nothing", "/shopsphere.v1.Nothing/PredictClv", "/x/y"):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(method)(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    methods = numbers(core[2].text(), "shopsphere_requests_total", "service", "method")
    assert set(methods) == {("ClvService", "PredictClv")}


def test_numbers_without_room_are_left_out(tmp_path, monkeypatch):
    """And those that have some stay right; also what has too long a name."""
    monkeypatch.setattr(counters, "CELLS", 4)
    monkeypatch.setattr(counters, "SINK", 2)
    kept = Counters(tmp_path / "a.counters")
    for name in ("one", "x" * 500, "two", "three", "four", "one"):
        kept.add(name)
    assert kept.read() == {("one",): 2.0, ("two",): 1.0}
    assert read_counters(tmp_path) == [kept.read()]


def test_a_file_that_is_being_made_has_no_numbers(tmp_path):
    """It has its size, and then its first number."""
    (tmp_path / "new.counters").touch()
    assert read_counters(tmp_path) == []


def test_threads_lose_no_count(tmp_path):
    """Each of many that count at once."""
    metrics = Metrics(StateHolder(), folder=tmp_path)
    threads = [threading.Thread(target=lambda: [call(metrics, 0.1) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(numbers(metrics.text(), "shopsphere_requests_total").values()) == [8000.0]


def test_every_metric_is_documented():
    """With the name that Prometheus shows."""
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    shown = {family.name + ("_total" if family.kind == "counter" else "") for family in FAMILIES}
    assert shown == set(re.findall(r"`(shopsphere_\w+)`", page))


def test_prometheus_accepts_the_text(tmp_path, state):
    """Promtool finds nothing to say against it."""
    promtool = shutil.which("promtool") or pytest.skip("there is no promtool: apt-get install prometheus")
    holder = StateHolder()
    holder.swap(state)
    metrics = Metrics(holder, folder=tmp_path)
    metrics.watch(PredictionLog(tmp_path / "spool"))
    call(metrics, 0.1)
    metrics.observe_model("clv", 0.1)
    metrics.observe_queue(0.1)
    text = metrics.text()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_the_models_time_is_apart(channel, core):
    """Of short calls and of batches, by use case."""
    stub = clv_pb2_grpc.ClvServiceStub(channel)
    stub.PredictClv(clv_pb2.PredictClvRequest(customer_id="1"))
    stub.BatchPredictClv(clv_pb2.BatchPredictClvRequest(customer_ids=["1", "2"]))
    text = core[2].text()
    assert numbers(text, "shopsphere_model_seconds_count", "use_case") == {("clv",): 2.0}
    assert numbers(text, "shopsphere_request_seconds_count", "method") == {
        ("PredictClv",): 1.0,
        ("BatchPredictClv",): 1.0,
    }
    assert one(text, "shopsphere_in_flight") == 0
