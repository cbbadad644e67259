"""Price suggestions: elasticities from weekly prices and units, and a move only where revenue surely gains."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.query_examples import run_example
from lakehouse.storage import Lake
from training import artifact, bootstrap, elasticity, tabular
from training.price_model import PriceModel
from training.use_case import Columns, Dataset, Decision, Feature, Metrics, Model, UseCase

Array = np.ndarray[Any, Any]
FEATURES = "gold.product_features"
TRANSACTIONS = "silver.transactions"
PRODUCTS = "silver.products"
TEST_DAYS = 91
PANEL = 2000
"""How many products are in the panel at most, those with the most revenue first."""


class PricingDataError(ShopSphereError):
    """There are too few weeks of sales."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """The product x week panel of the products that sell most: log of units and of the price paid per unit.

    Only priced sales count, refunds do not. The last quarter of the history, at most 13 weeks, is tested on; as many
    weeks earlier for each `window`.

    Raises:
        PricingDataError: fewer than 12 weeks of sales.
    """
    versions = versions or {table: lake.version(table) for table in (TRANSACTIONS, PRODUCTS, FEATURES)}
    weeks = run_example(lake, "training_pricing", versions=versions)
    if weeks.is_empty() or weeks["week"].n_unique() < 12:
        raise PricingDataError("pricing needs at least 12 weeks of sales: ingest a longer history")
    first: Any = weeks["week"].min()
    last: Any = weeks["week"].max() + timedelta(days=7)  # type: ignore[operator]
    span = min(timedelta(days=TEST_DAYS), (last - first) / 4)
    last -= window * span
    weeks = weeks.filter(pl.col("week") + timedelta(days=7) <= last)
    start = last - span
    earlier = weeks.filter(pl.col("week") + timedelta(days=7) <= start)
    chosen = weeks if refit else earlier
    best = chosen.group_by("product_id").agg(pl.col("revenue").sum(), weeks=pl.len())
    best = best.filter(pl.col("weeks") >= elasticity.ENOUGH_WEEKS).sort(
        "revenue", "product_id", descending=[True, False]
    )
    train = chosen.join(best.head(PANEL).select("product_id"), on="product_id", how="semi").sort("product_id", "week")
    if train.is_empty():
        raise PricingDataError(
            f"no product was sold in {elasticity.ENOUGH_WEEKS} weeks: pricing has nothing to learn from"
        )
    test = weeks.filter(pl.col("week") >= start).join(train.select("product_id").unique(), on="product_id", how="semi")
    newest = lake.scan(FEATURES, versions[FEATURES]).filter(pl.col("as_of") <= start).collect()
    if newest.is_empty():
        newest = lake.scan(FEATURES, versions[FEATURES]).collect()
    newest = newest.filter(pl.col("as_of") == pl.col("as_of").max())
    return Dataset(
        train=train,
        test=test.clear() if refit else test.sort("product_id", "week"),
        labels_end=last if refit else start,
        as_of=start,
        data_versions=versions,
        extra={"products": newest.filter(pl.col("product_id").is_in(train["product_id"].unique().implode()))},
    )


def fit(data: Dataset) -> Model:
    """An elasticity per product, shrunk to its category's."""
    found = elasticity.shrink(elasticity.per_product(data.train))
    known = found["elasticity"].drop_nulls()
    params = {
        "products": found.height,
        "identified": len(known),
        "median_elasticity": float(known.median() or 0.0),  # type: ignore[arg-type]
    }
    return _model("shrunk_elasticity", data, found, params)


def fit_baseline(data: Dataset) -> Model:
    """The product's mean demand whatever the price: every price is kept."""
    nothing = pl.lit(None, dtype=pl.Float64)
    found = elasticity.per_product(data.train).with_columns(elasticity=nothing, error=nothing)
    return _model("baseline", data, found, {"products": found.height})


def evaluate(model: Model, data: Dataset) -> Metrics:
    """Error of the demand expected at the prices of the test weeks: rmse of log units, and wape of units."""
    error, units = _errors(model, data.test), data.test["units"].to_numpy()
    expected = np.exp(data.test["log_units"].to_numpy() + error)
    negative = float(np.mean(_elasticities(model, data) < 0)) if model.kind != "baseline" else 0.0
    return {
        "rmse_log_units": float(np.sqrt(np.square(error).mean())),
        "wape": float(np.abs(expected - units).sum() / units.sum()),
        "share_negative": negative,
    }


def references(data: Dataset) -> dict[str, Metrics]:
    """Least squares per product without shrinking, and one elasticity for all."""
    raw = elasticity.per_product(data.train)
    one = raw.filter(pl.col("slope").is_not_null())["slope"].median()
    models = {
        "least_squares": raw.with_columns(elasticity=pl.col("slope"), error=pl.col("variance").sqrt()),
        "one_elasticity": raw.with_columns(elasticity=pl.lit(one, dtype=pl.Float64), error=pl.lit(0.0)),
    }
    return {name: evaluate(_model(name, data, found, {}), data) for name, found in models.items()}


def gate(candidate: Metrics, champion: Metrics) -> Decision:
    """Expects demand better by more than noise, and most elasticities are negative."""
    reasons = []
    ours, theirs = candidate["rmse_log_units"], champion["rmse_log_units"]
    if not candidate.get("gain_low", theirs - ours) > 0:
        reasons.append(f"rmse of log units {ours:.4f} is not below the champion's {theirs:.4f} by more than noise")
    if candidate["share_negative"] < 0.5:
        reasons.append(f"only {candidate['share_negative']:.0%} of elasticities are negative")
    passed = f"rmse of log units {ours:.4f} is below the champion's {theirs:.4f} by more than noise"
    return Decision(promote=not reasons, reasons=reasons or [passed])


def gains(candidate: Model, champion: Model, data: Dataset) -> Array:
    """By how much the candidate's rmse is lower, on resampled product-weeks."""
    ours, theirs = (np.square(_errors(model, data.test)) for model in (candidate, champion))
    return bootstrap.paired_gains(
        lambda rows: float(np.sqrt(theirs[rows].mean()) - np.sqrt(ours[rows].mean())), len(ours)
    )


def figures(model: Model, data: Dataset) -> dict[str, Any]:
    """How elasticities are spread over products."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 4))
    axes = drawn.subplots()
    axes.hist(_elasticities(model, data), bins=40)
    axes.set(title="Own-price elasticities of the panel's products", xlabel="elasticity", ylabel="products")
    axes.axvline(-1, color="grey", linestyle="--")
    return {"elasticities.png": drawn}


def load(folder: Path) -> Model:
    """The model in an artifact folder."""
    return PriceModel.load(artifact.read(folder))


def explain(model: Model, inputs: Columns, options: Columns) -> dict[str, Any]:
    """The outputs of the model are its explanation."""
    return {}


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Five products, nulls kept as NaN."""
    rows = data.extra["products"].head(5)
    nothing = np.full(rows.height, np.nan)
    options = {
        "product_id": rows["product_id"].to_numpy(),
        "request_min_price": nothing,
        "request_max_price": nothing.copy(),
    }
    return tabular.to_columns(rows, NAMES), options


def _model(kind: str, data: Dataset, found: pl.DataFrame, params: dict[str, Any]) -> PriceModel:
    arrays = {
        "product_ids": found["product_id"].to_numpy(),
        **{
            name: found[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            for name in ("log_units", "log_price", "elasticity", "error")
        },
    }
    return PriceModel(kind, defaults=tabular.medians(data.extra["products"], NAMES), params=params, arrays=arrays)


def _errors(model: Any, rows: pl.DataFrame) -> Array:
    expected = model.log_units(rows["product_id"].to_numpy(), rows["log_price"].to_numpy())
    errors: Array = expected - rows["log_units"].to_numpy()
    return errors


def _elasticities(model: Model, data: Dataset) -> Array:
    product_ids = data.train["product_id"].unique().sort().to_numpy()
    found = model.predict({}, {"product_id": product_ids})["elasticity"]
    known: Array = found[~np.isnan(found)]
    return known if len(known) else np.zeros(1)


PRICING = UseCase(
    name="pricing",
    title="Price suggestions",
    not_for="prices outside those observed, prices per person, causes: promotions and demand move together.",
    entity="product",
    feature_table=FEATURES,
    features=(
        Feature(name="avg_price", override=True, minimum=0),
        Feature(name="units", override=True, integer=True, minimum=0),
        Feature(name="revenue", override=True),
        Feature(name="avg_discount", override=True, minimum=0, maximum=1),
        Feature(name="premium_share", override=True, minimum=0, maximum=1),
        Feature(name="base_price"),
        Feature(name="min_price"),
        Feature(name="max_price"),
        Feature(name="units_total", integer=True),
        Feature(name="weeks_sold", integer=True),
    ),
    options=("product_id", "request_min_price", "request_max_price"),
    outputs=(
        "price_suggested",
        "price_reason",
        "elasticity",
        "unbounded_price",
        "current_price",
        "binding_guardrails",
    ),
    primary_metric="rmse_log_units",
    higher_is_better=False,
    dataset=dataset,
    fit=fit,
    fit_baseline=fit_baseline,
    evaluate=evaluate,
    references=references,
    gate=gate,
    figures=figures,
    load=load,
    explain=explain,
    example=example,
    gains=gains,
)
NAMES = [feature.name for feature in PRICING.features]
