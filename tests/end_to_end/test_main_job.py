"""The main job once, on a small generated shop: CSVs, lake, training, serving, prediction log, gauges."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from grpc_server.client import Client, ServerError
from grpc_server.server import ServerAddress, running_server
from grpc_server.settings import ServerSettings
from lakehouse.dictionary import tables
from lakehouse.query import sql
from lakehouse.storage import Lake
from monitoring.exporter import running_exporter
from monitoring.run import METRICS, monitor
from monitoring.settings import MonitoringSettings
from training.pipeline import train_use_cases
from training.promote import promote, rollback
from training.registry import Registry
from training.score import score
from training.settings import TrainingSettings
from training.use_cases import USE_CASES

OLD_BODIES = {
    "/score/clv": (
        '{"customer_id":"59540","features":{"recency_days":12,"tx_count":5,"monetary":350,"avg_discount":0.05,'
        '"avg_quantity":2.0,"premium_tx_share":0.3,"events_view_count":10,"events_add_to_cart_count":3,'
        '"events_purchase_count":2,"avg_session_duration_sec":120,"age":48,"is_male":1,"loyalty_level":1}}',
        "clv_180d",
    ),
    "/segment": (
        '{"customer_id":"59540","features":{"recency_days":12,"tx_count":5,"monetary":350,"avg_discount":0.05,'
        '"avg_qty":2,"age":48,"loyalty_level":1}}',
        "cluster_id",
    ),
    "/recommend": ('{"customer_id":"59540","k":5}', "rec_list"),
    "/score/propensity": (
        '{"customer_id":"59540","features":{"age":48,"is_male":1,"loyalty_level":1,"uplift_mean":0.1,'
        '"events_view_count":10,"events_add_to_cart_count":3,"events_purchase_count":2}}',
        "prob_response",
    ),
    "/price": (
        '{"product_id":"408","features":{"avg_price":72.5,"units":100,"revenue":5000,"avg_discount":0.1,'
        '"premium_share":1.0},"min_price":50,"max_price":150}',
        "price_suggested",
    ),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory, tiny_lake, new_server_settings) -> ServerSettings:
    """The small shop's lake, a registry with all five trained and promoted, free ports."""
    folder = tmp_path_factory.mktemp("main_job")
    shutil.copytree(tiny_lake.root, folder / "lake")
    settings = new_server_settings(folder)
    train_use_cases(settings, promote=True).raise_failures()
    return settings


@pytest.fixture(scope="module")
def customers(tiny_lake: Lake) -> list[str]:
    """The ids of the customers that have bought."""
    rows = sql(tiny_lake, "select distinct customer_id from silver.transactions order by 1")
    return [str(customer) for customer in rows["customer_id"]]


@pytest.fixture(scope="module")
def served(settings: ServerSettings):
    """A running server."""
    with running_server(settings) as address:
        yield address


def post(address: ServerAddress, path: str, body: str) -> tuple[int, dict]:
    """Status and document of a POST."""
    request = urllib.request.Request(address.rest + path, data=body.encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_each_service_answers_by_id_alone(served, customers):
    """The champion answers, and the answer names model, data version and log row."""
    with Client(served.grpc) as client:
        answers = [
            client.clv(customers[0]),
            client.propensity(customers[0]),
            client.segment(customers[0], full=True),
            client.recommend(customers[0], k=3),
            client.price("1"),
        ]
    for answer in answers:
        metadata = answer["metadata"]
        assert metadata["prediction_id"]
        assert metadata["model"]["alias"] == "champion"
        assert metadata["data"]["table"].startswith("gold.")
    assert answers[0]["clv_180d"] >= 0
    assert 0 <= answers[1]["prob_response"] <= 1
    warned = {warning["code"] for warning in answers[2]["metadata"].get("warnings", [])}
    assert bool(answers[2]["distances"]) == ("baseline" not in warned)  # a rule of quantiles has no centres
    assert len(answers[3]["items"]) == 3
    assert answers[4]["price_suggested"] > 0


@pytest.mark.parametrize("path", OLD_BODIES)
def test_the_old_bodies_answer(served, path):
    """Clients of the old system get their fields, also for ids that the lake does not know."""
    body, field = OLD_BODIES[path]
    status, document = post(served, path, body)
    assert (status, document["ok"]) == (200, True), document
    assert document[field] is not None
    if path == "/price":
        assert 50 <= document["price_suggested"] <= 150
        assert "revenue_inconsistent" in document["warnings"]
    if path == "/recommend":
        assert len(document["rec_list"]) == 5
        assert "cold_start" in document["warnings"]


@pytest.mark.parametrize(
    ("path", "body", "status", "named"),
    [
        ("/score/clv", '{"customer_id":"nobody"}', 404, "recency_days"),
        ("/score/clv", '{"customer_id":"1","features":{"tx_count":-1,"avg_discount":7}}', 400, "avg_discount"),
        ("/score/clv", '{"customer_id":"1","features":{"spend":1}}', 400, "features.spend"),
        ("/score/clv", '{"customer_id":"1","features":{"monetary":NaN}}', 400, "finite"),
        ("/score/clv", "{", 400, "JSON"),
        ("/recommend", '{"customer_id":1,"k":-1}', 400, "k must be"),
        ("/price", '{"product_id":"none","min_price":9,"max_price":2}', 400, "max_price"),
        ("/score/propensity", '{"customer_id":"1","campaign_id":"none"}', 404, "campaign"),
    ],
)
def test_bad_input_gets_a_typed_error(served, path, body, status, named):
    """One sentence that names what is wrong, and no invented number."""
    answered, document = post(served, path, body)
    assert (answered, document["ok"]) == (status, False)
    assert named in json.dumps(document["error"])


def test_a_batch_answers_in_order_with_errors_of_its_own(served, customers):
    """One unknown id does not spoil the others."""
    with Client(served.grpc) as client:
        results = client.batch("clv", [customers[1], "nobody", customers[0]])
        with pytest.raises(ServerError, match="INVALID_ARGUMENT"):
            client.recommend(customers[0], k=0)
    assert [result["customer_id"] for result in results] == [customers[1], "nobody", customers[0]]
    assert ["error" in result for result in results] == [False, True, False]


MAIN_FIELDS = {
    "clv": ("customer_id", "clv_180d"),
    "propensity": ("customer_id", "prob_response"),
    "segmentation": ("customer_id", "cluster_id"),
    "recommender": ("customer_id", "items"),
    "pricing": ("product_id", "price_suggested"),
}


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name)
def test_bulk_scores_are_the_single_answers(settings, served, customers, use_case):
    """Everybody's score is what the server says of them, and its table is as the dictionary tells."""
    key, field = MAIN_FIELDS[use_case.name]
    report = score(settings, use_case.name)
    rows = Lake(settings).scan(report.table).collect()
    scored = dict(rows.select(key, use_case.outputs[0]).iter_rows())
    ids = [str(product) for product in range(1, 41)] if key == "product_id" else customers
    with Client(served.grpc) as client:
        answered = client.batch(use_case.name, [entity for entity in ids if int(entity) in scored])

    assert answered
    for answer in answered:
        value = answer[field]
        if field == "items":
            value = [int(item["product_id"]) for item in value]
        assert scored[int(answer[key])] == (value if isinstance(value, list) else pytest.approx(value, rel=1e-5))
    told = set(tables()[report.table].columns)
    assert set(rows.columns) <= told
    assert told - set(rows.columns) <= set(use_case.outputs), "a baseline may lack outputs, nothing else"
    assert rows["model_version"].unique().to_list() == [Registry(settings).champion(use_case.name).version]
    assert rows["feature_version"].unique().to_list() == [Lake(settings).version(use_case.feature_table)]
    assert rows.height == report.rows == rows[key].n_unique()


def test_rest_says_what_is_ready(served):
    """Health, readiness per service, and Prometheus metrics of the calls so far."""
    with urllib.request.urlopen(f"{served.rest}/ready", timeout=30) as response:
        assert json.load(response)["services"] == {use_case.name: True for use_case in USE_CASES}
    post(served, *("/recommend", '{"customer_id":"1"}'))
    with urllib.request.urlopen(f"{served.rest}/metrics", timeout=30) as response:
        assert 'shopsphere_requests_total{code="OK",method="Recommend"' in response.read().decode()


ANSWERING = """
import os
import sys
from grpc_server import worker
sys.argv = ["worker", "live", "7", "0", "--parent", str(os.getppid())]
worker.main()
print(*(name for name in sys.modules if "." not in name))
"""


def test_a_worker_that_has_answered_has_imported_nothing_heavy(settings, served, customers):
    """Neither training's and monitoring's libraries nor the lake's: a worker starts in a second and stays small."""
    ports = dict(zip(("grpc_port", "rest_port"), (_free_port(), _free_port()), strict=True))
    environment = settings.model_copy(update=ports).environment()
    process = subprocess.Popen([sys.executable, "-c", ANSWERING], env=environment, stdout=subprocess.PIPE, text=True)
    with process, Client(f"127.0.0.1:{ports['grpc_port']}") as client:
        try:
            list(poll(lambda: _answers(client)))
            calls = [client.clv, client.propensity, client.segment, client.recommend]
            assert all(call(customers[0])["metadata"]["prediction_id"] for call in calls)
            assert client.price("1")["price_suggested"] > 0
            assert client.batch("clv", customers[:2])
        finally:
            process.terminate()
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    lake, training = (
        {"polars", "duckdb", "deltalake", "pyarrow"},
        {"mlflow", "sklearn", "scipy", "implicit", "lightgbm"},
    )
    monitoring = {"prefect", "evidently", "pandas", "matplotlib"}
    assert "onnxruntime" in told.split()
    assert set() == (lake | training | monitoring) & set(told.split())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(client: Client) -> bool:
    try:
        return bool(client.models())
    except ServerError:
        return False


def test_a_promotion_goes_live_without_restart(settings, served, customers):
    """A running server answers from the version that a rollback and a promotion make the champion."""
    registry = Registry(settings)
    newest = registry.champion("clv")
    assert newest is not None
    with Client(served.grpc) as client:
        asked = lambda: client.clv(customers[0])["metadata"]["model"]["version"]  # noqa: E731
        assert asked() == newest.version
        back = rollback("clv", settings=settings)
        versions = {asked() for _ in poll(lambda: asked() == back.version)}
        assert versions <= {newest.version, back.version}
        assert asked() == back.version
        promote("clv", newest.version, settings=settings)


def poll(reached, attempts=600):
    """Yields until a condition holds, at most for about a minute."""
    pause = threading.Event()
    for _ in range(attempts):
        if reached():
            return
        yield
        pause.wait(0.1)
    raise AssertionError("it did not happen within a minute")


def test_every_answer_is_logged_and_every_gauge_served(settings, served, customers):
    """Within 10 s each answer of a running server is one row for SQL; a replay and the monitors give the gauges."""
    lake = Lake(settings)
    started = datetime.now(UTC).replace(tzinfo=None)
    with Client(served.grpc) as client:
        answer = client.clv(customers[0])
        for use_case in ("clv", "propensity", "recommender"):
            client.batch(use_case, customers)
        client.batch("pricing", [str(product) for product in range(1, 41)])
    count = "select count(*) n, count(distinct prediction_id) ids from predictions"
    deadline, expected = time.monotonic() + 10, 1 + 3 * len(customers) + 40
    rows = sql(lake, f"{count} where predicted_at >= timestamp '{started}'")
    while rows.item(0, "n") < expected and time.monotonic() < deadline:
        threading.Event().wait(0.1)
        rows = sql(lake, f"{count} where predicted_at >= timestamp '{started}'")
    assert rows.item(0, "n") == rows.item(0, "ids") == expected
    logged = sql(lake, f"select * from predictions where prediction_id = '{answer['metadata']['prediction_id']}'")
    assert logged.item(0, "clv_180d") == answer["clv_180d"]
    assert logged.item(0, "model_version") == answer["metadata"]["model"]["version"]
    monitoring = MonitoringSettings(
        **{name: getattr(settings, name) for name in TrainingSettings.model_fields}, exporter_port=0
    )
    found = {row.name: row for row in monitor(monitoring)}
    assert set(found) == set(METRICS)
    assert all((row.value is None) == bool(row.reason) for row in found.values())
    assert found["clv_drift_score"].value is not None
    assert found["recommender_coverage"].value is not None
    assert found["pricing_guardrail_violations"].value == 0
    with running_exporter(monitoring) as address, urllib.request.urlopen(f"{address}/metrics", timeout=30) as response:
        text = response.read().decode()
    for name, row in found.items():
        assert (f"\n{name} " in text) == (row.value is not None)


def test_no_model_holds_a_customer(settings, naming):
    """Registry and served models: neither factors, golden rows nor input examples name one; the snapshots must."""
    assert naming(settings.var_dir / "mlflow") == []
    served = naming(settings.var_dir / "serving")
    assert {name.split("/")[1] for name in served} == {"features"}
