"""What the recommender serves: how much of its catalogue, and how far from the best sellers."""

from datetime import datetime

import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.gold.as_of import newest_as_of
from lakehouse.gold.interactions import TABLE, interactions_before
from lakehouse.metrics_table import MetricRow
from lakehouse.storage import Lake
from monitoring.log import NotComputableError, absent, main_version, metric, newest_predictions
from monitoring.settings import MonitoringSettings
from training.registry import Registry

COVERAGE = "recommender_coverage"
NOVELTY = "recommender_novelty"


def recommender_reach(lake: Lake, settings: MonitoringSettings, *, now: datetime) -> list[MetricRow]:
    """Coverage and novelty of the newest answers of the version that gave most of them.

    Raises:
        NotComputableError: no recommendation was logged.
    """
    log = newest_predictions(lake, "recommender", limit=settings.monitor_window_rows)
    version = main_version(log)
    rows = log.filter(pl.col("model_version") == version)
    items = served(rows)
    size = _catalogue_size(settings, version)
    coverage = absent(COVERAGE, f"version {version} does not say how large its catalogue is", computed_at=now)
    if size:
        distinct = items.n_unique()
        details = {"distinct_items": distinct, "catalogue_size": size}
        coverage = metric(COVERAGE, distinct / size, rows, model_version=version, details=details, computed_at=now)
    return [coverage, _novelty(lake, rows, items, now=now)]


def served(rows: pl.DataFrame) -> pl.Series:
    """The product ids of all lists, repeats kept.

    Raises:
        NotComputableError: the lists are empty.
    """
    items = rows["item_ids"].explode().drop_nulls().cast(pl.Int64, strict=False).drop_nulls()
    if items.is_empty():
        raise NotComputableError(f"the {rows.height} logged recommendations hold no product")
    return items


def shares(lake: Lake, as_of: datetime | None) -> pl.DataFrame:
    """Each product's share of all purchases before `as_of`, before the data's clock where that is not known."""
    before = as_of or newest_as_of(lake, TABLE, version=lake.version(TABLE))
    known = interactions_before(lake.scan(TABLE), before)
    counted = known.group_by("product_id").agg(purchases=pl.col("purchase_count").sum())
    bought = counted.filter(pl.col("purchases") > 0).collect(engine="streaming")
    return bought.select("product_id", share=pl.col("purchases") / pl.col("purchases").sum())


def _novelty(lake: Lake, rows: pl.DataFrame, items: pl.Series, *, now: datetime) -> MetricRow:
    """Mean of -log2 of the served products' shares of all purchases, in bits; products never bought are left out."""
    try:
        popularity = shares(lake, rows["as_of"].max())  # type: ignore[arg-type]
    except ShopSphereError as error:  # coverage needs no popularity
        return absent(NOVELTY, str(error), computed_at=now)
    known = items.alias("product_id").to_frame().join(popularity, on="product_id")
    if known.is_empty():
        return absent(NOVELTY, "none of the served products was ever bought", computed_at=now)
    value = float(known.select(-pl.col("share").log(2).mean()).item())
    details = {"served": len(items), "never_bought": len(items) - known.height}
    return metric(NOVELTY, value, rows, model_version=main_version(rows), details=details, computed_at=now)


def _catalogue_size(settings: MonitoringSettings, version: int) -> int:
    """The number of products that the version may recommend; 0 where it does not say."""
    registry = Registry(settings)
    return int(registry.load(registry.version("recommender", version)).params.get("catalogue_size", 0))
