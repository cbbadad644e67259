"""A shop whose customers keep spending what they spent: silver transactions and customer features of 14 months."""

import shutil
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from lakehouse.storage import Lake
from training.registry import Registry
from training.settings import TrainingSettings

CLOCK = datetime(2024, 3, 1)
DAYS = 420
CUSTOMERS = 60


def shop_transactions(seed=0):
    """Every customer buys once a week; half of them spend about 5 a time, the others about 50."""
    customer, week = (grid.ravel() for grid in np.meshgrid(np.arange(1, CUSTOMERS + 1), np.arange(DAYS // 7)))
    cents = np.where(customer % 2 == 0, 5000, 500) + np.random.default_rng(seed).integers(-100, 101, customer.size)
    start = CLOCK - timedelta(days=DAYS)
    days = customer % 7 + 7 * week
    return pl.DataFrame(
        {
            "customer_id": customer,
            "timestamp": [start + timedelta(days=int(day), hours=12) for day in days],
            "gross_revenue": (pl.Series(cents).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2)),
        }
    )


def shop_features(transactions, as_of):
    """The CLV model's inputs as of a cutoff, from nothing but the rows before it."""

    def age(days):
        return pl.col("timestamp") >= as_of - timedelta(days=days)

    since = [(pl.lit(as_of) - pl.col("timestamp").max()), (pl.lit(as_of) - pl.col("timestamp").min())]
    recency_days, tenure_days = (duration.dt.total_seconds() / 86_400 for duration in since)
    unknown = ["premium_tx_share", "avg_session_duration_sec", "age", "is_male", "loyalty_level"]
    zero = ["events_view_count", "events_add_to_cart_count", "events_purchase_count", "category_count"]
    return (
        transactions.filter(pl.col("timestamp") < as_of)
        .group_by("customer_id")
        .agg(
            recency_days=recency_days,
            tenure_days=tenure_days,
            signup_days=tenure_days,
            tx_count=pl.len().cast(pl.Int64),
            monetary=pl.col("gross_revenue").sum(),
            **{f"spend_{span}d": pl.col("gross_revenue").filter(age(span)).sum() for span in (30, 90, 180)},
            **{f"tx_count_{span}d": age(span).sum().cast(pl.Int64) for span in (30, 90, 180)},
        )
        .with_columns(
            *(pl.lit(None, dtype=pl.Float64).alias(name) for name in unknown),
            *(pl.lit(0, dtype=pl.Int64).alias(name) for name in zero),
            avg_discount=0.1,
            avg_quantity=1.0,
            as_of=pl.lit(as_of),
        )
        .sort("customer_id")
    )


def settings_in(folder):
    """Settings whose lake and SQLite registry are in a folder."""
    return TrainingSettings(
        var_dir=folder, lake_root=str(folder / "lake"), mlflow_tracking_uri="", mlflow_artifact_root=""
    )


@pytest.fixture(scope="session")
def empty_registry(made_once):
    """An empty registry's database: making one takes seconds, copying it none."""
    return made_once("empty_registry", lambda folder: Registry(settings_in(folder)).champion("clv")) / "mlflow"


@pytest.fixture(scope="session")
def new_settings(empty_registry):
    """Makes settings in a folder that has a copy of the empty registry."""

    def make(folder):
        shutil.copytree(empty_registry, folder / "mlflow")
        return settings_in(folder)

    return make


@pytest.fixture
def settings(tmp_path, new_settings):
    """Settings whose lake and SQLite registry are in the test's own folder."""
    return new_settings(tmp_path)


def write_shop(lake):
    """Write the shop's silver transactions and gold customer features."""
    transactions = shop_transactions()
    lake.overwrite("silver.transactions", transactions)
    cutoffs = [CLOCK - timedelta(days=30 * k) for k in range(14)]
    features = pl.concat(shop_features(transactions, cutoff) for cutoff in cutoffs)
    lake.overwrite("gold.customer_features", features, partition_by="as_of")
    return lake


@pytest.fixture
def shop_lake(settings):
    """The shop in the test's own folder."""
    return write_shop(Lake(settings))


@pytest.fixture(scope="session")
def bare_shop(tmp_path_factory):
    """The shop without a registry; tests only read it."""
    return write_shop(Lake(settings_in(tmp_path_factory.mktemp("bare_shop"))))
