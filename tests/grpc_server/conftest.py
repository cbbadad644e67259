"""A server on models and features made by hand, over gRPC and REST."""

import asyncio
from datetime import datetime

import grpc
import httpx
import numpy as np
import pytest

from grpc_server.metrics import Metrics
from grpc_server.mount import Mount
from grpc_server.online_features import FeatureSnapshot, write_snapshot
from grpc_server.poll_thread import PollThreadExecutor
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.rest import make_app
from grpc_server.services import add_services
from grpc_server.state import ServedModel, State, StateHolder
from training.campaigns import CampaignTable
from training.catalogue import Catalogue
from training.constant import ConstantModel
from training.popularity_recommender import PopularityRecommender
from training.price_model import PriceModel
from training.spend_model import LEVELS
from training.use_cases import USE_CASES, get

AS_OF = datetime(2024, 3, 1)
HISTORY_OF_1 = {
    "history_product_ids": np.array([5, 6]),
    "history_weights": np.array([1.0, 0.5]),
    "history_view_counts": np.array([0, 3]),
    "history_add_to_cart_counts": np.array([0, 1]),
}


class SpendEcho:
    """Answers the monetary input, so that a test sees which value was used, and 1, 2, 3 beside it; fails on 666."""

    kind = "echo"

    def __init__(self):
        self.params = {}
        self.defaults = {feature.name: 7.0 for feature in get("clv").features}

    def predict(self, inputs, options):
        """The input `monetary`, its default where unknown."""
        if 666 in inputs["monetary"]:
            raise RuntimeError("secret of the house")
        monetary = np.where(np.isnan(inputs["monetary"]), 7.0, inputs["monetary"])
        return {"clv_180d": monetary, **{name: np.full(len(monetary), float(n)) for n, name in enumerate(LEVELS, 1)}}


def served(name, model, **values):
    """A model as the worker holds it."""
    given = {"version": 3, "alias": "champion", "kind": model.kind, "metrics": {"auc": 0.7}, "tags": {}}
    return ServedModel(use_case=get(name), model=model, created_at="2024-03-01T00:00:00+00:00", **{**given, **values})


@pytest.fixture
def state(tmp_path):
    """Customers 1 and 2, product 5, campaign 9; all models but segmentation."""
    names = {feature.name for use_case in USE_CASES for feature in use_case.features}
    customers = {name: np.array([1.0, np.nan]) for name in sorted(names - {"uplift_mean", "campaign_days"})}
    products = {name: np.array([10.0]) for name in sorted(feature.name for feature in get("pricing").features)}
    snapshots = {
        "gold.customer_features": (
            "customer_id",
            {"customer_id": np.array([1, 2]), "country": np.array(["", "US"]), **customers},
        ),
        "gold.product_features": ("product_id", {"product_id": np.array([5]), **products}),
        "gold.interactions": (
            "customer_id",
            {"customer_id": np.array([1]), **HISTORY_OF_1, "starts": np.array([0]), "ends": np.array([2])},
        ),
    }
    features = {}
    for table, (key, arrays) in snapshots.items():
        write_snapshot(tmp_path / table, table=table, version=4, as_of=AS_OF, key=key, arrays=arrays)
        features[table] = FeatureSnapshot(tmp_path / table)
    dates = {"start_date": "2024-01-01", "end_date": "2024-02-01", "expected_uplift": 0.1}
    panel = {
        "product_ids": np.array([5]),
        "log_units": np.array([1.0]),
        "log_price": np.array([2.0]),
        "elasticity": np.array([-3.0]),
        "error": np.array([0.1]),
    }
    rate = ConstantModel("propensity", output="prob_response", value=0.25, defaults={"age": 40.0})
    models = {
        "clv": served("clv", SpendEcho()),
        "propensity": served("propensity", rate, warnings=("baseline",)),
        "recommender": served(
            "recommender",
            PopularityRecommender(
                Catalogue(
                    product_ids=np.array([5, 6, 8]),
                    popularity=np.array([9, 3, 1]),
                    category=np.array([0, 1, 1]),
                    category_names=np.array(["Home", "Sports"]),
                    country_names=np.array(["US"]),
                    country_popularity=np.array([[1, 2, 3]]),
                ),
                {"catalogue_size": 3},
            ),
        ),
        "pricing": served("pricing", PriceModel("elastic", defaults={"avg_price": 10.0}, params={}, arrays=panel)),
    }
    return State(models, features, CampaignTable([{"campaign_id": 9, **dates}]))


@pytest.fixture
def core(tmp_path, state):
    """The predictor with its holder and metrics, spooling into the test's folder."""
    holder = StateHolder()
    holder.swap(state)
    metrics = Metrics(holder)
    return Predictor(holder, PredictionLog(tmp_path / "spool"), metrics), holder, metrics


@pytest.fixture
def channel(core):
    """A channel to a real server."""
    predictor, holder, metrics = core
    server = grpc.server(PollThreadExecutor())
    add_services(Mount(server, metrics), predictor, holder)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    server.stop(None).wait()


@pytest.fixture
def rest(core):
    """Sends one request to the REST application: `rest("POST", path, content=…)`."""
    transport = httpx.ASGITransport(make_app(*core), raise_app_exceptions=False)

    def send(method, path, **values):
        async def once():
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return await client.request(method, path, **values)

        return asyncio.run(once())

    return send
