"""Guardrails of price suggestions, checked again from the log and gold, whatever the server itself flagged."""

from datetime import datetime
from typing import Any

import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.metrics_table import MetricRow
from lakehouse.storage import Lake
from monitoring.log import NotComputableError, main_version, metric, newest_predictions
from monitoring.settings import MonitoringSettings

VIOLATIONS = "pricing_guardrail_violations"
PRODUCTS = "gold.product_features"
COST = "unit_cost"
TOLERANCE = 0.005
"""Half a cent, as suggestions are rounded to cents."""


def guardrail_violations(lake: Lake, settings: MonitoringSettings, *, now: datetime) -> list[MetricRow]:
    """How many suggested prices broke the request's bounds, the observed range or the unit cost.

    The observed range is gold's lowest to highest price at the answer's version and `as_of`, widened by the price the
    model started from (keeping a price is no violation), by bounds of a request that lie wholly outside it, and by
    the cost.

    Raises:
        NotComputableError: no suggestion was logged, or none can be checked against anything.
    """
    log = newest_predictions(lake, "pricing", limit=settings.monitor_window_rows)
    rows = checked(with_range(lake, log.filter(pl.col("price_suggested").is_finite())))
    unchecked = rows.filter(~pl.col("bounded") & ~pl.col("ranged")).height
    if unchecked == rows.height:
        raise NotComputableError(f"none of {log.height} logged prices has bounds or a product in {PRODUCTS}")
    broken = rows.filter(pl.col("outside_bounds") | pl.col("outside_range") | pl.col("below_cost"))
    priced = rows.select(_number(rows, COST).count()).item()
    details = {
        **{name: rows.filter(pl.col(name)).height for name in ("outside_bounds", "outside_range", "below_cost")},
        "checked": rows.height - unchecked,
        "unchecked": unchecked,
        "cost": f"checked for {priced}" if priced else "no request gave a unit cost",
        "binding_guardrails": binding(rows),
    }
    version = main_version(rows)
    return [metric(VIOLATIONS, broken.height, rows, model_version=version, details=details, computed_at=now)]


def with_range(lake: Lake, log: pl.DataFrame) -> pl.DataFrame:
    """The log with the product's `observed_min` and `observed_max` then."""
    versions = log["feature_version"].unique().to_list()
    parts = [_join_version(lake, log.filter(pl.col("feature_version").eq_missing(v)), v) for v in versions]
    return pl.concat(parts, how="diagonal") if parts else log


def checked(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with what each price broke, null-free: outside_bounds, outside_range, below_cost."""
    price, low, high = pl.col("price_suggested"), _number(rows, "request_min_price"), _number(rows, "request_max_price")
    start = _number(rows, "avg_price")
    floor = pl.min_horizontal("observed_min", start, high)
    cost = _number(rows, COST)
    ceiling = pl.max_horizontal("observed_max", start, low, cost)
    ranged = pl.col("observed_min").is_not_null() & pl.col("observed_max").is_not_null()
    return rows.with_columns(
        bounded=low.is_not_null() | high.is_not_null(),
        ranged=ranged,
        outside_bounds=((price < low - TOLERANCE).fill_null(False) | (price > high + TOLERANCE).fill_null(False)),
        outside_range=ranged & ((price < floor - TOLERANCE) | (price > ceiling + TOLERANCE)),
        below_cost=(price < cost - TOLERANCE).fill_null(False),
    )


def binding(rows: pl.DataFrame) -> dict[str, int]:
    """How often each guardrail held a price back, as the server answered it."""
    if "binding_guardrails" not in rows.columns:
        return {}
    names = rows["binding_guardrails"].drop_nulls().str.split(",").explode()
    counts = names.filter(names != "").value_counts(sort=True)
    return dict(counts.iter_rows())


def _join_version(lake: Lake, log: pl.DataFrame, version: int | None) -> pl.DataFrame:
    gold = _gold(lake, version)
    product = pl.col("entity_id").cast(pl.Int64, strict=False).alias("product_id")
    bare = log.drop("product_id", strict=False).with_columns(product)
    key = ["product_id", "as_of"]
    at = gold.select(*key, observed_min="min_price", observed_max="max_price")
    wanted = log["as_of"].unique().drop_nulls().to_list()
    return bare.join(at.filter(pl.col("as_of").is_in(wanted)).collect(), on=key, how="left")


def _gold(lake: Lake, version: int | None) -> pl.LazyFrame:
    """The product features at a version; the newest one where it is gone (old `as_of`s are kept)."""
    try:
        return lake.scan(PRODUCTS, version)
    except ShopSphereError:
        return lake.scan(PRODUCTS)


def _number(rows: pl.DataFrame, name: str) -> Any:
    """A logged number as an expression, null where it is NaN, absent, or was never logged."""
    return pl.col(name).cast(pl.Float64).fill_nan(None) if name in rows.columns else pl.lit(None, pl.Float64)
