"""Elasticities from a product x week panel: how orders, and units per order, answer to the price paid."""

from typing import Any

import numpy as np
import polars as pl

from training import confounding, truncated_poisson
from training.tabular import to_columns
from training.truncated_poisson import Rows

Array = np.ndarray[Any, Any]
VARIATION = 0.02
"""The least standard deviation of a product's log price from which an elasticity can be told."""
ENOUGH_WEEKS = 8
CONTROLS = ("display", "mailer")
"""Columns of the panel that say how much of the shop promoted a product, where that is known."""


def fit(panel: pl.DataFrame) -> tuple[dict[str, Array], dict[str, float]]:
    """Arrays with an entry per product (see `PriceModel`) and facts about the fit, from a sorted panel.

    A product's elasticity is its orders' (`truncated_poisson.fit`) and its units' per order together, at equal
    promotion, less what prices are found to follow demand (`confounding`). NaN, not identified, where its price hardly
    moved.
    """
    controls = controls_of(panel)
    products = products_of(panel)
    number = np.searchsorted(products["product_id"].to_numpy(), panel["product_id"].to_numpy())
    inputs, means = centred(np.column_stack(list(to_columns(panel, ["log_price", *controls]).values())), number)
    rows = Rows(
        counts=panel["orders"].to_numpy().astype(float),
        inputs=inputs,
        offset=panel["traffic"].to_numpy(),
        product=number,
        category=np.unique(products["category"].to_numpy(), return_inverse=True)[1],
        identified=products["identified"].to_numpy(),
    )
    found = truncated_poisson.fit(rows)
    weeks = (panel["week"] - panel["week"].min()).dt.total_days().to_numpy() // 7
    follows, follows_error = confounding.price_follows_demand(rows, found, weeks)
    per_order, per_order_variance = _quantity_slopes(panel, rows)
    error = np.sqrt(found.variance + per_order_variance + follows_error**2)
    own = found.coefficients[:, 1] + per_order - follows
    arrays = {
        "product_ids": products["product_id"].to_numpy(),
        "elasticity": np.where(rows.identified, own, np.nan),
        "error": np.where(rows.identified, error, np.nan),
        "log_price": means[:, 0],
        "log_orders": found.coefficients[:, 0],
        "order_slopes": found.coefficients[:, 1:],
        "quantity_slope": per_order,
        "control_means": means[:, 1:],
    }
    arrays["log_units"] = _levels(panel, rows, arrays)
    facts = {"price_follows_demand": follows, "spread": found.spread, "dispersion": found.dispersion}
    effects = arrays["order_slopes"][:, 1:].mean(axis=0).tolist()
    facts |= {f"effect_of_{name}": effect for name, effect in zip(controls, effects, strict=True)}
    return {**arrays, "controls": np.array(controls, dtype="U16")}, facts


def without_price(panel: pl.DataFrame) -> dict[str, Array]:
    """The same arrays for a shop whose customers do not look at prices: mean demand, scaled by traffic."""
    kept = panel.drop(CONTROLS, strict=False).with_columns(pl.col("log_price").mean().over("product_id"))
    return fit(kept)[0]


def controls_of(panel: pl.DataFrame) -> list[str]:
    """The controls that the panel has and that moved."""
    return [name for name in CONTROLS if name in panel.columns and panel[name].n_unique() > 1]


def centred(columns: Array, product: Array) -> tuple[Array, Array]:
    """What each row has more than its product's mean, and those means."""
    means = np.column_stack([np.bincount(product, column) for column in columns.T]) / np.bincount(product)[:, None]
    return columns - means[product], means


def _identified() -> pl.Expr:
    return (pl.len() >= ENOUGH_WEEKS) & (pl.col("log_price").std(ddof=0) > VARIATION)


def products_of(panel: pl.DataFrame) -> pl.DataFrame:
    """The panel's products, sorted: product_id, category, and whether the price moved enough to tell an elasticity."""
    category = pl.col("category").first().fill_null("")
    return panel.group_by("product_id").agg(category, identified=_identified()).sort("product_id")


def _quantity_slopes(panel: pl.DataFrame, rows: Rows) -> tuple[Array, Array]:
    """How the log of units per order answers to the log price: least squares, drawn to the mean of all products."""
    price = rows.inputs[:, 0]
    quantity = (panel["units"] / panel["orders"]).log().to_numpy()
    quantity = quantity - (rows.per_product(quantity) / rows.per_product(np.ones(len(price))))[rows.product]
    moved = np.maximum(rows.per_product(price**2), 1e-9)
    slope, variance = rows.per_product(price * quantity) / moved, float(np.mean(quantity**2)) / moved + 1e-9
    mean, spread = 0.0, 0.05
    for _ in range(30):
        precision = 1 / variance + 1 / spread
        drawn = (slope / variance + mean / spread) / precision
        if rows.identified.any():
            mean = float(drawn[rows.identified].mean())
            spread = max(float(np.mean((drawn - mean)[rows.identified] ** 2 + 1 / precision[rows.identified])), 1e-4)
    return drawn, 1 / precision


def _levels(panel: pl.DataFrame, rows: Rows, arrays: dict[str, Array]) -> Array:
    """What is left of log units on average, given the orders expected: quantities, and the logarithm of a mean."""
    coefficients = np.column_stack([arrays["log_orders"], arrays["order_slopes"]])[rows.product]
    log_rate = coefficients[:, 0] + (coefficients[:, 1:] * rows.inputs).sum(axis=1) + rows.offset
    explained = (
        np.log(truncated_poisson.expected(log_rate)) + arrays["quantity_slope"][rows.product] * rows.inputs[:, 0]
    )
    left: Array = rows.per_product(panel["log_units"].to_numpy() - explained) / np.bincount(rows.product)
    return left
