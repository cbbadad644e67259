"""Price suggestions: elasticities from weekly prices and units, and a move only where more is surely earned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import ShopSphereError
from training import artifact, bootstrap, tabular
from training.price_errors import PriceErrors, price_errors
from training.price_figure import elasticity_figure
from training.price_model import MAX_PRICE, PriceModel
from training.use_case import Columns, Dataset, Decision, Feature, Metrics, Model, Resampled, UseCase

if TYPE_CHECKING:
    import polars as pl

    from lakehouse.storage import Lake

Array = np.ndarray[Any, Any]
FEATURES = "gold.product_features"
TRANSACTIONS = "silver.transactions"
PRODUCTS = "silver.products"
PROMOTIONS = "silver.promotions"
TEST_DAYS = 91
PANEL = 2000
"""How many products are in the panel at most, those with the most revenue first."""


class PricingDataError(ShopSphereError):
    """There are too few weeks of sales."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """The product x week panel of the products that sell most: log of units and of the price paid per unit.

    Only priced sales count, refunds do not. Weeks begin on the weekday on which prices change. `traffic` is the log of
    what the shop's other products sold, relative to the training weeks, drawn to 0 as far as it is chance. `display`
    and `mailer` say how a product was promoted, where the shop tells of most training weeks; training keeps to these.
    The last quarter of the history, at most 13 weeks, is tested on; as many weeks earlier for each `window`.

    Raises:
        PricingDataError: fewer than 12 weeks of sales.
    """
    import polars as pl

    from lakehouse.query_examples import run_example
    from training import elasticity, price_panel

    versions = versions or _versions(lake)
    first_day = price_panel.first_day(lake.scan(TRANSACTIONS, versions[TRANSACTIONS]))
    weeks = run_example(lake, "training_pricing", versions=versions, first_day=first_day)
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
    told = chosen.drop_nulls(elasticity.CONTROLS)
    if PROMOTIONS in versions and 2 * told["week"].n_unique() > chosen["week"].n_unique():
        chosen = told
    else:
        weeks, chosen = weeks.drop(elasticity.CONTROLS), chosen.drop(elasticity.CONTROLS)
    best = chosen.group_by("product_id").agg(pl.col("revenue").sum(), weeks=pl.len())
    best = best.filter(pl.col("weeks") >= elasticity.ENOUGH_WEEKS).sort(
        "revenue", "product_id", descending=[True, False]
    )
    best = best.head(PANEL).select("product_id")
    if best.is_empty():
        raise PricingDataError(
            f"no product was sold in {elasticity.ENOUGH_WEEKS} weeks: pricing has nothing to learn from"
        )
    weeks = price_panel.with_traffic(weeks, chosen).join(best, on="product_id", how="semi").sort("product_id", "week")
    train = weeks.join(
        chosen.select("product_id", "week"), on=["product_id", "week"], how="semi", maintain_order="left"
    )
    test = weeks.filter(pl.col("week") >= start)
    newest = lake.scan(FEATURES, versions[FEATURES]).filter(pl.col("as_of") == pl.col("as_of").max()).collect()
    return Dataset(
        train=train,
        test=test.clear() if refit else test,
        labels_end=last if refit else start,
        as_of=start,
        data_versions=versions,
        extra={
            "products": newest.filter(pl.col("product_id").is_in(train["product_id"].unique().implode())),
            "first_day": first_day,
        },
    )


def _versions(lake: Lake) -> dict[str, int]:
    """The tables as they are now; a shop may lack promotions."""
    read = [TRANSACTIONS, PRODUCTS, FEATURES, *([PROMOTIONS] if lake.exists(PROMOTIONS) else [])]
    return {table: lake.version(table) for table in read}


def shuffled(data: Dataset, seed: int) -> Dataset:
    """The weeks of each product in the order of another draw: what was paid has nothing to do with what was sold."""
    import polars as pl

    from training import elasticity

    paid = ["log_price", *(name for name in elasticity.CONTROLS if name in data.train.columns)]
    drawn = data.train.select(
        pl.struct(paid).shuffle(seed=seed).over("product_id", mapping_strategy="group_to_rows").alias("paid")
    )
    return replace(
        data, train=data.train.drop(paid).with_columns(drawn["paid"].struct.unnest()).select(data.train.columns)
    )


def fit(data: Dataset) -> Model:
    """An elasticity per product, shrunk to its category's; see `training.elasticity`."""
    from training import elasticity

    arrays, facts = elasticity.fit(data.train)
    known = arrays["elasticity"][~np.isnan(arrays["elasticity"])]
    params = {
        "products": len(arrays["product_ids"]),
        "identified": len(known),
        "median_elasticity": float(np.median(known)) if len(known) else 0.0,
        "controls": ",".join(arrays["controls"].tolist()) or "none",
        "first_day": data.extra["first_day"],
        **{name: round(fact, 6) for name, fact in facts.items()},
    }
    return _model("shrunk_elasticity", data, arrays, params)


def fit_baseline(data: Dataset) -> Model:
    """The product's mean demand whatever the price, scaled by the shop's traffic: every price is kept."""
    from training import elasticity

    arrays = elasticity.without_price(data.train)
    return _model("baseline", data, arrays, {"products": len(arrays["product_ids"])})


def evaluate(model: Model, data: Dataset) -> Metrics:
    """Error of the demand expected at the prices of the test weeks: rmse of log units, and wape of units."""
    return {**_errors(model, data).metrics(), "share_negative": _share_negative(_elasticities(model, data.train))}


def resampled(model: Model, data: Dataset) -> Resampled:
    """Products are drawn with all their test weeks: what is wrong of a product is wrong in each of them."""
    errors, elasticities = _errors(model, data), _elasticities(model, data.test)
    return len(errors.weeks), lambda drawn: {
        **errors.metrics(drawn),
        "share_negative": _share_negative(elasticities[drawn]),
    }


def references(data: Dataset) -> dict[str, Metrics]:
    """Plain regressions of log units on log price and promotion: a slope per product, per category, one for all."""
    from training import price_regressions

    fitted = price_regressions.fit(data.train)
    regressions = {
        "least_squares": fitted,
        "category_mean": fitted.with_category_slopes(),
        "one_elasticity": fitted.with_one_slope(),
    }
    return {name: price_errors(found.log_units(data.test), data.test).metrics() for name, found in regressions.items()}


def gate(candidate: Metrics, champion: Metrics) -> Decision:
    """Expects demand better by more than noise, and most elasticities are negative."""
    reasons = []
    ours, theirs = candidate["rmse_log_units"], champion["rmse_log_units"]
    if not candidate["gain_low"] > 0:
        reasons.append(f"rmse of log units {ours:.4f} is not below the champion's {theirs:.4f} by more than noise")
    if candidate["share_negative"] < 0.5:
        reasons.append(f"only {candidate['share_negative']:.0%} of elasticities are negative")
    passed = f"rmse of log units {ours:.4f} is below the champion's {theirs:.4f} by more than noise"
    return Decision(promote=not reasons, reasons=reasons or [passed])


def gains(candidate: Model, champion: Model, data: Dataset) -> Array:
    """By how much the candidate's rmse is lower, on resampled products, each with all its test weeks."""
    ours, theirs = (_errors(model, data) for model in (candidate, champion))
    return bootstrap.paired_gains(lambda drawn: theirs.rmse(drawn) - ours.rmse(drawn), len(ours.weeks))


def figures(model: Model, data: Dataset) -> dict[str, Any]:
    """How elasticities are spread over products."""
    known = _elasticities(model, data.train)
    promotions = model.params.get("controls", "none") != "none"
    return {"elasticities.png": elasticity_figure(known[~np.isnan(known)], promotions=promotions)}


def load(folder: Path) -> Model:
    """The model in an artifact folder."""
    return PriceModel.load(artifact.read(folder))


def explain(model: Model, inputs: Columns, options: Columns) -> dict[str, Any]:
    """What would be sold and earned over the allowed prices: "curve", see `PriceModel.curve`."""
    return {"curve": model.curve(inputs, options)} if isinstance(model, PriceModel) else {"curve": []}


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Five products, nulls kept as NaN."""
    rows = data.extra["products"].head(5)
    nothing = np.full(rows.height, np.nan)
    options = {
        "product_id": rows["product_id"].to_numpy(),
        "request_min_price": nothing,
        "request_max_price": nothing.copy(),
        "unit_cost": nothing.copy(),
    }
    return tabular.to_columns(rows, NAMES), options


def _model(kind: str, data: Dataset, arrays: dict[str, Array], params: dict[str, Any]) -> PriceModel:
    return PriceModel(kind, defaults=tabular.medians(data.extra["products"], NAMES), params=params, arrays=arrays)


def _errors(model: Any, data: Dataset) -> PriceErrors:
    from training import elasticity

    rows = data.test
    numeric = [name for name in ("log_price", "traffic", *elasticity.CONTROLS) if name in rows.columns]
    columns = {**tabular.to_columns(rows, numeric), "product_id": rows["product_id"].to_numpy()}
    return price_errors(model.log_units(columns), rows)


def _elasticities(model: Model, rows: pl.DataFrame) -> Array:
    """Those of the rows' products by id, NaN where not identified."""
    return model.predict({}, {"product_id": rows["product_id"].unique().sort().to_numpy()})["elasticity"]


def _share_negative(elasticities: Array) -> float:
    known = elasticities[~np.isnan(elasticities)]
    return float(np.mean(known < 0)) if len(known) else 0.0


PRICING = UseCase(
    name="pricing",
    title="Price suggestions",
    not_for="prices outside those observed, prices per person, causes: demand moves too, and promotion not told of.",
    entity="product",
    feature_table=FEATURES,
    features=(
        Feature(name="avg_price", override=True, minimum=0, maximum=MAX_PRICE),
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
    options=("product_id", "request_min_price", "request_max_price", "unit_cost"),
    outputs=(
        "price_suggested",
        "price_reason",
        "elasticity",
        "elasticity_p5",
        "elasticity_p95",
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
    resampled=resampled,
    shuffled=shuffled,
)
NAMES = [feature.name for feature in PRICING.features]
