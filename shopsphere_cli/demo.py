"""The demo: the whole system once, on real input, in one process with one temporary Prefect server."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from grpc_server.client import Client
from grpc_server.server import running_server
from grpc_server.settings import ServerSettings
from lakehouse.build import build
from lakehouse.errors import ShopSphereError
from lakehouse.ingest import ingest
from lakehouse.metrics_table import MetricRow
from lakehouse.query import sql
from lakehouse.storage import Lake
from monitoring.settings import MonitoringSettings
from shopsphere_cli.prefect_server import prefect_server
from shopsphere_cli.replay import PRODUCTS, choose_replay, products_sold
from shopsphere_cli.steps import Steps
from training.settings import TrainingSettings

BUSIEST_CUSTOMER = """
select cast(customer_id as varchar) as id from gold.customer_features
where as_of = (select max(as_of) from gold.customer_features)
order by tx_count_90d desc, customer_id limit 1
"""
DECISIONS = """
select use_case, decision, array_to_string(reasons, '; ') as reasons from promotions
qualify row_number() over (partition by use_case order by decided_at desc) = 1 order by use_case
"""


def demo(settings: ServerSettings, source: str) -> None:
    """Ingest, build, train, promote, serve, ask, replay a past date, monitor, and say how to go on.

    Everything stays under the settings' `var_dir`; a second run ingests nothing twice.
    """
    console = Console()
    steps = Steps(console, count=7)
    lake = Lake(settings)
    anywhere = settings.model_copy(update={"grpc_port": 0, "rest_port": 0})
    with prefect_server(settings.var_dir / "prefect") as prefect:
        preload = threading.Thread(target=_preload, args=(settings,), daemon=True)
        preload.start()
        with steps.step(f"Ingest {source} into bronze"):
            ingest(lake, source, progress=steps.say)
        with steps.step("Build silver and gold"):
            build(lake, progress=steps.say)
        with steps.step("Train the five models in a Prefect flow, and let each pass its gate"):
            preload.join()
            if prefect:
                prefect.wait()
            _train(settings, steps)
            for use_case, decision, reasons in sql(lake, DECISIONS).iter_rows():
                steps.say(f"{use_case}: {decision}: {reasons}")
    with steps.step("Serve, and ask each of the five services over gRPC"):
        _ask(anywhere, lake, steps)
    with steps.step("Replay a past date, whose outcomes are known by now"):
        _replay(anywhere, lake, steps)
    with steps.step("Monitor what was answered"):
        rows = _monitor(settings)
    with steps.step("Models"):
        champions = _champions(settings)
        console.print(_models_table(champions))
        for use_case in [row["use case"] for row in champions if row["kind"] == "baseline"]:
            steps.say(f"No model beat the simple baseline of {use_case}, which answers, with the warning `baseline`.")
    console.print(_gauges_table(rows))
    _how_to_go_on(console, settings, lake, steps)


def _preload(settings: ServerSettings) -> None:
    """Import what training needs and make the registry's database while the lake is built: both take seconds."""
    import lightgbm  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import sklearn.cluster  # noqa: F401

    from training.registry import Registry

    Registry(settings).champion("clv")


def _train(settings: TrainingSettings, steps: Steps) -> None:
    from training.flows import train_all

    logger = logging.getLogger("prefect.flow_runs")
    logger.handlers = [_Say(steps.say)]  # and not the temporary server, whose log nobody will read
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        report = train_all(promote=True, settings=settings)
        for trained in report.trained.values():
            steps.say("; ".join(trained.lines()))
    except ShopSphereError as error:  # what could be trained is; the models without a champion say so when asked
        steps.say(str(error))


class _Say(logging.Handler):
    """Shows what the flow logs as progress."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        if not sentence.startswith(("Beginning", "View at", "Finished")):  # Prefect's own
            self._say(sentence)


def _ask(settings: ServerSettings, lake: Lake, steps: Steps) -> None:
    customer = str(sql(lake, BUSIEST_CUSTOMER).item())
    product = products_sold(lake, None)[0]
    with running_server(settings) as address, Client(address.grpc) as client:
        steps.say(f"gRPC on {address.grpc}, REST on {address.rest}")
        calls: dict[str, Callable[[], dict[str, Any]]] = {
            f"ClvService/PredictClv customer_id={customer}": lambda: client.clv(customer),
            f"PropensityService/ScorePropensity customer_id={customer}": lambda: client.propensity(customer),
            f"SegmentationService/AssignSegment customer_id={customer}": lambda: client.segment(customer),
            f"RecommenderService/Recommend customer_id={customer} k=5": lambda: client.recommend(customer, k=5),
            f"PricingService/SuggestPrice product_id={product}": lambda: client.price(product),
        }
        for asked, call in calls.items():
            started = time.perf_counter()
            try:
                answer = call()
            except ShopSphereError as error:
                steps.say(f"{asked} → {error}")
                continue
            took = (time.perf_counter() - started) * 1000
            steps.say(f"{asked} → {_short(answer)} ({took:.1f} ms)")


def _short(answer: dict[str, Any]) -> str:
    """The result and what it can be traced by, in one line."""
    metadata = answer.get("metadata", {})
    model, data = metadata.get("model", {}), metadata.get("data", {})
    hidden = ("metadata", "contributions", "distances", "explanation", "customer_id", "product_id")
    result = {name: value for name, value in answer.items() if name not in hidden}
    if "items" in result:
        result["items"] = " ".join(item["product_id"] for item in result["items"])
    texts = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in result.items()}
    shown = ", ".join(f"{name} {text}" for name, text in texts.items())
    traced = f"model {model.get('name')} {model.get('version')}, {data.get('table')} version {data.get('version')}"
    warnings = "".join(f", warning {warning['code']}" for warning in metadata.get("warnings", []))
    return f"{shown}; {traced}{warnings}"


def _replay(settings: ServerSettings, lake: Lake, steps: Steps) -> None:
    chosen = choose_replay(lake)
    if chosen is None:
        steps.say("no campaign of this data has reached anybody long enough ago: nothing to replay")
        return
    build(lake, as_of=[chosen.as_of], progress=steps.say)
    products = products_sold(lake, chosen.as_of)
    with running_server(settings, as_of=chosen.as_of) as address, Client(address.grpc) as client:
        asked = {
            "clv": client.batch("clv", chosen.customers),
            "propensity": [
                result
                for campaign, customers in chosen.customers_by_campaign.items()
                for result in client.batch("propensity", customers, campaign_id=campaign)
            ],
            "segmentation": client.batch("segmentation", chosen.customers),
            "recommender": client.batch("recommender", chosen.customers),
            "pricing": client.batch("pricing", products),
        }
    for use_case, results in asked.items():
        refused = sum("error" in result for result in results)
        steps.say(f"{use_case}: {len(results) - refused} answers as of {chosen.as_of:%Y-%m-%d}, {refused} refused")
    if len(products) < PRODUCTS:
        steps.say(f"only {len(products)} products were sold in the four weeks before")


def _monitor(settings: ServerSettings) -> list[MetricRow]:
    from monitoring.run import monitor

    return monitor(_monitoring(settings))


def _monitoring(settings: ServerSettings) -> MonitoringSettings:
    return MonitoringSettings(**{name: getattr(settings, name) for name in TrainingSettings.model_fields})


def _champions(settings: ServerSettings) -> list[dict[str, str]]:
    from training.model_list import HEADER, model_rows

    rows = [dict(zip(HEADER, row, strict=True)) for row in model_rows(settings)]
    return [row for row in rows if "champion" in row["alias"]]


def _models_table(champions: list[dict[str, str]]) -> Table:
    table = Table(title="The champions and the simple baselines on the time holdout", title_justify="left")
    shown = ("use case", "version", "kind", "metric", "model", "baseline")
    for name in shown:
        table.add_column(name)
    for row in champions:
        table.add_row(*(row[name] for name in shown))
    return table


def _gauges_table(rows: list[MetricRow]) -> Table:
    table = Table(title="The gauges of `shopsphere exporter`", title_justify="left")
    for name in ("metric", "value", "rows", "why absent"):
        table.add_column(name)
    for row in rows:
        value = "" if row.value is None else f"{row.value:.4g}"
        table.add_row(row.name, value, str(row.count or ""), row.reason or "")
    return table


def _how_to_go_on(console: Console, settings: ServerSettings, lake: Lake, steps: Steps) -> None:
    customer = str(sql(lake, BUSIEST_CUSTOMER).item())
    took = ", ".join(
        f"{title.split()[0].strip(',').lower()} {seconds:.0f} s" for title, seconds in steps.seconds.items()
    )
    first = ["source .venv/bin/activate"]
    if settings.var_dir != type(settings)().var_dir:
        first.append(f"export SHOPSPHERE_VAR={settings.var_dir}")
    console.print(
        f"""
Done in {timedelta(seconds=round(steps.total_seconds))}: {took}.
Reports:  {_monitoring(settings).reports_dir}
Go on (first {" && ".join(first)}):
  shopsphere serve                       # gRPC on {settings.grpc_port}, REST on {settings.rest_port}
  shopsphere predict clv {customer}
  grpcurl -plaintext -d '{{"customer_id":"{customer}"}}' localhost:{settings.grpc_port} \\
    shopsphere.v1.ClvService/PredictClv
  shopsphere sql "select use_case, count(*) from predictions group by all"
  shopsphere exporter                    # the six gauges on :9100/metrics
""",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
