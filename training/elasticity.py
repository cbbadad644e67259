"""Elasticities from a product x week panel: least squares per product, shrunk to the category (empirical Bayes)."""

from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]
VARIATION = 0.02
"""The least standard deviation of a product's log price from which an elasticity can be told."""
ENOUGH_WEEKS = 8


def per_product(panel: pl.DataFrame) -> pl.DataFrame:
    """One row per product: product_id, category, weeks, log_units, log_price, slope and its variance (null: none)."""
    x, y = pl.col("log_price"), pl.col("log_units")
    sums = panel.group_by("product_id").agg(
        pl.col("category").first(),
        weeks=pl.len(),
        log_units=y.mean(),
        log_price=x.mean(),
        xx=((x - x.mean()) ** 2).sum(),
        xy=((x - x.mean()) * (y - y.mean())).sum(),
        yy=((y - y.mean()) ** 2).sum(),
    )
    enough = (pl.col("weeks") >= ENOUGH_WEEKS) & (pl.col("xx") / pl.col("weeks") > VARIATION**2)
    slope = pl.col("xy") / pl.col("xx")
    rest = (pl.col("yy") - pl.col("xy") ** 2 / pl.col("xx")).clip(lower_bound=1e-6)
    return sums.with_columns(
        slope=pl.when(enough).then(slope),
        variance=pl.when(enough).then(rest / (pl.col("weeks") - 2) / pl.col("xx")),
    ).sort("product_id")


def shrink(products: pl.DataFrame) -> pl.DataFrame:
    """Adds elasticity and error: each slope drawn to its category's mean, that to the mean of all; null: unknown.

    How far depends on each slope's own variance and on how much true slopes differ (DerSimonian-Laird).
    """
    known = products.filter(pl.col("slope").is_not_null())
    if known.is_empty():
        nothing = pl.lit(None, dtype=pl.Float64)
        return products.with_columns(elasticity=nothing, error=nothing)
    slope, variance = known["slope"].to_numpy(), known["variance"].to_numpy()
    overall, between = _pool(slope, variance)
    means, spreads = np.full(len(slope), overall), np.full(len(slope), between)
    categories = known["category"].fill_null("").to_numpy()
    for category in np.unique(categories):
        rows = categories == category
        own, spread = _pool(slope[rows], variance[rows])
        weight = rows.sum() / (rows.sum() + 5.0)
        means[rows] = weight * own + (1 - weight) * overall
        spreads[rows] = weight * spread + (1 - weight) * between
    precision = 1 / variance + 1 / spreads
    shrunk = known.select("product_id").with_columns(
        elasticity=pl.Series((slope / variance + means / spreads) / precision), error=pl.Series(1 / np.sqrt(precision))
    )
    return products.join(shrunk, on="product_id", how="left").sort("product_id")


def _pool(slope: Array, variance: Array) -> tuple[float, float]:
    """The mean of true slopes and their variance."""
    weights = 1 / variance
    mean = float((weights * slope).sum() / weights.sum())
    heterogeneity = float((weights * (slope - mean) ** 2).sum()) - (len(slope) - 1)
    scale = float(weights.sum() - np.square(weights).sum() / weights.sum())
    between = max(heterogeneity / scale if scale > 0 else 0.0, 0.05)
    weights = 1 / (variance + between)
    return float((weights * slope).sum() / weights.sum()), between
