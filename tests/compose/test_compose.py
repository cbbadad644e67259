"""The compose stack, read as Docker would: variables, files, commands, addresses, metrics and start order resolve."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from shopsphere_cli.main import make_app

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose"
TEXT = (COMPOSE / "compose.yaml").read_text()
OURS = "shopsphere:local"


def env_example() -> dict[str, str]:
    """The variables of .env.example."""
    lines = (COMPOSE / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml with the variables of .env.example filled in."""
    filled = re.sub(r"\$\{(\w+)\}", lambda found: env_example()[found[1]], TEXT)
    parsed: dict[str, dict[str, Any]] = yaml.safe_load(filled.replace("$$", "$"))["services"]
    return parsed


def command(service: dict[str, Any]) -> list[str]:
    """What the service runs; for `sh -c` the words of its script."""
    words = [str(word) for word in service.get("command", [])]
    return words[2].split() if words[:2] == ["sh", "-c"] else words


def test_every_variable_is_in_the_example_and_used() -> None:
    """`cp .env.example .env` is all that is needed, and nothing in it is idle."""
    assert set(env_example()) == set(re.findall(r"(?<!\$)\$\{(\w+)\}", TEXT))


def test_every_file_is_there(services: dict[str, dict[str, Any]]) -> None:
    """Build context, Dockerfile, what it copies, and what is mounted exist."""
    for service in services.values():
        if "build" in service:
            context = (COMPOSE / service["build"]["context"]).resolve()
            assert context == ROOT
            dockerfile = (context / service["build"]["dockerfile"]).read_text()
            for copied in re.findall(r"^COPY (\S+) ", dockerfile, re.MULTILINE):
                assert (context / copied).exists()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and source != env_example()["RAW_DATA"]:
                assert (COMPOSE / source).exists(), source


def test_the_image_is_not_root_and_has_what_libraries_load() -> None:
    """One image: locked packages with hashes, libgomp, a user of its own."""
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    for needed in ("libgomp1", "--require-hashes -r requirements.lock", "USER shopsphere"):
        assert needed in dockerfile


def test_start_order_resolves(services: dict[str, dict[str, Any]]) -> None:
    """Who waits for a healthy service waits for one with a health check; nobody waits in a circle."""
    started: set[str] = set()
    while waiting := {name for name in services if name not in started}:
        ready = {name for name in waiting if set(services[name].get("depends_on", {})) <= started}
        assert ready, f"these wait for each other or for a service that is not there: {waiting}"
        started |= ready
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            assert condition["condition"] != "service_healthy" or "healthcheck" in services[name], name


def test_everything_that_stays_up_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    """Only the one-shot services and the workers, which publish nothing, have none."""
    without = {name for name in services if "healthcheck" not in services[name]}
    assert without == {"buckets", "prefect-deploy", "worker", "dask-worker"}


def test_ports_are_on_loopback_only(services: dict[str, dict[str, Any]]) -> None:
    """Nothing is published beyond this machine."""
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))


def test_our_commands_exist(services: dict[str, dict[str, Any]]) -> None:
    """Each command of our image is installed, and `shopsphere` knows the sub-command and its options."""
    group = typer.main.get_command(make_app())
    for name, service in services.items():
        if service["image"] != OURS:
            continue
        program, *words = command(service)
        assert (Path(sys.executable).parent / program).exists(), f"{name}: {program}"
        if program == "shopsphere":
            known = {option for parameter in group.commands[words[0]].params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known


def test_health_checks_of_our_image_use_a_file_in_it(services: dict[str, dict[str, Any]]) -> None:
    """Slim images have no curl: a script of the repository asks, at a port that the service listens on."""
    for service in services.values():
        if service["image"] == OURS and "healthcheck" in service:
            _, python, script, url = service["healthcheck"]["test"]
            assert python == "python"
            assert (ROOT / Path(script).relative_to("/app")).exists()
            assert re.search(r":(\d+)/", url)[1] in {port.split(":")[-1] for port in service["ports"]}


def test_addresses_name_services(services: dict[str, dict[str, Any]]) -> None:
    """Each http, database or Dask address points at a service of the stack, or at loopback."""
    configured = [TEXT, *(path.read_text() for path in COMPOSE.rglob("*.yml"))]
    hosts = set(re.findall(r"(?:http://|tcp://|dask://|@)([\w-]+)[:.]", "\n".join(configured)))
    assert hosts - {"127"} <= set(services)


def test_both_buckets_are_created(services: dict[str, dict[str, Any]]) -> None:
    """The lake's and MLflow's."""
    assert {"store/lake", "store/mlflow"} <= set(services["buckets"]["command"][0].split())


def test_prometheus_scrapes_both_jobs(services: dict[str, dict[str, Any]]) -> None:
    """Jobs `api` and `monitor-exporter` reach a port their service listens on; promtool agrees where there is one."""
    path = COMPOSE / "prometheus" / "prometheus.yml"
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in yaml.safe_load(path.read_text())["scrape_configs"]
    }
    assert jobs == {"api": ["server:8080"], "monitor-exporter": ["exporter:9100"]}
    for (target,) in jobs.values():
        host, port = target.split(":")
        assert port in {published.split(":")[-1] for published in services[host]["ports"]}
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "config", str(path)], check=True, capture_output=True)


ALERTS = """
rule_files: [{rules}]
tests:
  - interval: 1m
    input_series:
      - {{series: shopsphere_log_dropped_total, values: "0 0 0 7 7 7 7 7 7 7 7 7 7"}}
      - {{series: shopsphere_spool_bytes, values: "600x12"}}
      - {{series: shopsphere_spool_limit_bytes, values: "1000x12"}}
    alert_rule_test:
      - {{alertname: PredictionLogDropsRecords, eval_time: 2m}}
      - alertname: PredictionLogDropsRecords
        eval_time: 4m
        exp_alerts: [{{exp_annotations: {{summary: "{dropped}"}}}}]
      - {{alertname: PredictionLogDropsRecords, eval_time: 12m}}
      - {{alertname: PredictionLogFallsBehind, eval_time: 4m}}
      - alertname: PredictionLogFallsBehind
        eval_time: 6m
        exp_alerts: [{{exp_annotations: {{summary: "{behind}"}}}}]
"""


def test_alerts_fire_when_the_log_loses_records_or_fills_its_disk(tmp_path: Path) -> None:
    """And stop when it is over; promtool computes them where there is one."""
    promtool = shutil.which("promtool") or pytest.skip("there is no promtool: apt-get install prometheus")
    path = COMPOSE / "prometheus" / "alerts.yml"
    said = {
        rule["alert"]: rule["annotations"]["summary"] for rule in yaml.safe_load(path.read_text())["groups"][0]["rules"]
    }
    dropped, behind = said["PredictionLogDropsRecords"], said["PredictionLogFallsBehind"]
    (tmp_path / "test.yml").write_text(ALERTS.format(rules=path, dropped=dropped, behind=behind))
    done = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "test.yml")], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_is_provisioned(services: dict[str, dict[str, Any]]) -> None:
    """The dashboard's folder is mounted where the provider looks, and its data source exists."""
    provider = yaml.safe_load((COMPOSE / "grafana/provisioning/dashboards/shopsphere.yml").read_text())["providers"][0]
    source = yaml.safe_load((COMPOSE / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in services["grafana"]["volumes"]
    uids = {panel["datasource"]["uid"] for panel in dashboard()["panels"] if "datasource" in panel}
    assert {source["uid"]} == uids


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    parsed: dict[str, Any] = json.loads((COMPOSE / "grafana/dashboards/overview.json").read_text())
    return parsed


def expressions() -> Iterator[str]:
    """All PromQL of the dashboard and the alerts."""
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for group in yaml.safe_load((COMPOSE / "prometheus" / "alerts.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def test_dashboard_and_alerts_name_metrics_that_exist() -> None:
    """Every metric they ask for is `up` or is named in the code of the server or the exporter."""
    code = "\n".join(
        path.read_text() for layer in ("grpc_server", "monitoring") for path in (ROOT / layer).rglob("*.py")
    )
    names = {name for text in expressions() for name in re.findall(r"\b(?:up|[a-z]+_[a-z_]+)\b", without_labels(text))}
    names -= {"histogram_quantile"}
    assert names >= {"shopsphere_log_dropped_total", "shopsphere_log_refusing", "shopsphere_log_backlog_records"}
    assert names >= {"up", "clv_drift_score", "propensity_auc", "propensity_auc_delta", "recommender_coverage"}
    assert names >= {"recommender_novelty", "pricing_guardrail_violations", "shopsphere_requests_total"}
    for name in names - {"up"}:
        known = {f'"{name}"', f'"{name.removesuffix("_bucket")}"', f'"{name.removesuffix("_total")}"'}
        assert any(literal in code for literal in known), name


def without_labels(text: str) -> str:
    """An expression without what is no metric name."""
    return re.sub(r"\{[^}]*\}|by \([^)]*\)", "", text)


def test_the_dashboard_has_its_name_and_links() -> None:
    """People find it by its title, and the other tools from it at the ports of .env.example."""
    assert dashboard()["title"] == "ShopSphere - MLOps Overview"
    ports = {env_example()[name] for name in ("MLFLOW_PORT", "PREFECT_PORT", "MINIO_CONSOLE_PORT", "PROMETHEUS_PORT")}
    assert ports == {link["url"].rsplit(":", 1)[1] for link in dashboard()["links"]}
