"""Customer segments by recency, orders and spend: stable groups with names, compared with a plain rule."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.gold.customer_features import label_as_ofs
from lakehouse.gold.history import data_span
from lakehouse.query_examples import run_example
from lakehouse.storage import Lake
from training import artifact, bootstrap, segment_fit, segments, tabular
from training.segments import CentreModel, RuleModel
from training.use_case import Columns, Dataset, Decision, Feature, Metrics, Model, UseCase

Array = np.ndarray[Any, Any]
FEATURES = "gold.customer_features"
TRANSACTIONS = "silver.transactions"
NEXT_DAYS = (180, 90, 60, 30)
"""Lengths of the next period whose spend segments should tell apart; the longest that has elapsed is taken."""


class SegmentationDataError(ShopSphereError):
    """There are no two moments to fit and to test segments at."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """Buyers as of one moment to fit on, buyers 30 days later to test on `label` is what those spent
    next. Both moments are 30 days earlier for each `window`.

    With `refit` the newest buyers are fitted on and none tested. Segments have no label: `labels_end` is the moment
    that was fitted on.

    Raises:
        SegmentationDataError: the lake has features of one moment only, or nobody bought.
    """
    versions = versions or {table: lake.version(table) for table in (FEATURES, TRANSACTIONS)}
    features = lake.scan(FEATURES, versions[FEATURES]).filter(pl.col("tx_count") > 0)
    first, clock = data_span(lake, versions[TRANSACTIONS])
    present = set(features.select(pl.col("as_of").unique()).collect()["as_of"])
    moments = [moment for moment in label_as_ofs(first, clock) if moment in present]
    days, fitted, tested = _moments(moments[: max(len(moments) - window, 0)], clock)
    chosen = moments[-1] if refit else fitted
    rows = run_example(lake, "training_segmentation", versions=versions, moments=[chosen, tested], days=days)
    test = rows.filter(pl.col("as_of") == tested)
    return Dataset(
        train=rows.filter(pl.col("as_of") == chosen).drop("label"),
        test=test.clear() if refit else test,
        labels_end=chosen,
        as_of=tested,
        data_versions=versions,
        extra={"next_days": days},
    )


def fit(data: Dataset) -> Model:
    """K-means on logarithms of recency, orders and spend; see `training.segment_fit`."""
    return segment_fit.fit_centres(tabular.to_columns(data.train, NAMES), tabular.medians(data.train, NAMES))


def fit_baseline(data: Dataset) -> Model:
    """The rule: thirds of spend, halved by recency."""
    monetary, recency = (data.train[name].cast(pl.Float64).drop_nulls() for name in ("monetary", "recency_days"))
    thirds = [float(np.quantile(monetary.to_numpy(), share)) for share in (1 / 3, 2 / 3)]
    names = [f"{spend} spend, {when}" for spend in ("Low", "Medium", "High") for when in ("lapsing", "recent")]
    params = {
        "monetary_thirds": thirds,
        "recency_median": float(np.median(recency.to_numpy())) if len(recency) else 0.0,
        "names": names,
        "segments": len(names),
    }
    return RuleModel(defaults=tabular.medians(data.train, NAMES), params=params)


def evaluate(model: Model, data: Dataset) -> Metrics:
    """On the test customers: how far segments are apart, how big the smallest is, and what they say of next spend.

    `silhouette` is measured in the same standardised space for every model; `eta_squared` is the share of the variance
    of the next period's spend (and of its logarithm) that the segment explains; `bootstrap_ari` is the agreement of
    refits on resampled training customers, 0 for a rule, which is not refitted.
    """
    ids = _ids(model, data)
    spend = data.test["label"].to_numpy()
    return {
        "silhouette": float(_silhouettes(model, data).mean()),
        "bootstrap_ari": float(model.params.get("bootstrap_ari", 0.0)),
        "smallest_share": float(np.bincount(ids, minlength=model.params["segments"]).min() / max(len(ids), 1)),
        "segments": float(model.params["segments"]),
        "eta_squared": _eta_squared(spend, ids),
        "eta_squared_log": _eta_squared(np.log1p(np.maximum(spend, 0)), ids),
    }


def references(data: Dataset) -> dict[str, Metrics]:
    """Six equal groups by spend alone: what a segment should beat to be worth its complexity."""
    monetary = data.test["monetary"].cast(pl.Float64).to_numpy()
    ids = np.searchsorted(np.quantile(monetary, np.arange(1, 6) / 6), monetary, side="right")
    spend = data.test["label"].to_numpy()
    rows = _space(data)
    chosen = segment_fit.sample(len(rows))
    silhouette = float(segment_fit.silhouettes(rows[chosen], ids[chosen]).mean())
    return {"spend_sextiles": {"silhouette": silhouette, "eta_squared": _eta_squared(spend, ids)}}


def gate(candidate: Metrics, champion: Metrics) -> Decision:
    """Stable under resampling, no tiny segment, and further apart than the champion's by more than noise."""
    reasons = []
    if candidate["bootstrap_ari"] < segment_fit.STABLE_ARI:
        reasons.append(f"refits agree by an adjusted Rand index of {candidate['bootstrap_ari']:.2f}, not 0.80")
    if candidate["smallest_share"] < segment_fit.SMALLEST_SHARE:
        reasons.append(f"the smallest segment has {candidate['smallest_share']:.1%} of the customers, not 3 %")
    if not candidate.get("gain_low", candidate["silhouette"] - champion["silhouette"]) > 0:
        reasons.append(
            f"silhouette {candidate['silhouette']:.3f} is not above the champion's {champion['silhouette']:.3f} "
            "by more than noise"
        )
    passed = (
        f"silhouette {candidate['silhouette']:.3f} beats the champion's {champion['silhouette']:.3f}, "
        f"refits agree by {candidate['bootstrap_ari']:.2f}"
    )
    return Decision(promote=not reasons, reasons=reasons or [passed])


def gains(candidate: Model, champion: Model, data: Dataset) -> Array:
    """By how much the candidate's silhouette is higher, on resampled test customers."""
    difference = _silhouettes(candidate, data) - _silhouettes(champion, data)
    return bootstrap.paired_gains(lambda rows: float(difference[rows].mean()), len(difference))


def figures(model: Model, data: Dataset) -> dict[str, Any]:
    """How many customers each segment has, and what they spend next."""
    from matplotlib.figure import Figure

    ids, spend = _ids(model, data), data.test["label"].to_numpy()
    names = model.params["names"]
    figure = Figure(figsize=(9, 4), layout="constrained")
    counts, means = figure.subplots(1, 2, sharey=True)
    counts.barh(names, np.bincount(ids, minlength=len(names)))
    counts.set(title=f"Customers as of {data.as_of:%Y-%m-%d}")
    means.barh(names, [spend[ids == number].mean() if (ids == number).any() else 0 for number in range(len(names))])
    means.set(title=f"Mean spend of the next {data.extra['next_days']} days")
    return {"segments.png": figure}


def load(folder: Path) -> Model:
    """The model in an artifact folder."""
    stored = artifact.read(folder)
    return RuleModel.load(stored) if stored.kind == RuleModel.kind else CentreModel.load(stored)


def explain(model: Model, inputs: Columns, options: Columns) -> dict[str, Any]:
    """The distance to every segment's centre, nearest first; empty for the rule, which has none."""
    if not isinstance(model, CentreModel):
        return {"distances": []}
    distances = model.distances(inputs)[0]
    names = model.params["names"]
    return {
        "distances": [
            {"cluster_id": int(number), "segment_name": names[number], "distance": float(distances[number])}
            for number in np.argsort(distances, kind="stable")
        ]
    }


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Five training customers, nulls kept as NaN."""
    return tabular.to_columns(data.train.head(5), NAMES), {}


def _moments(moments: list[datetime], end: datetime | None) -> tuple[int, datetime, datetime]:
    for days in NEXT_DAYS:
        elapsed = [moment for moment in moments if end and moment + timedelta(days=days) <= end + timedelta(days=1)]
        if len(elapsed) > 1:
            return days, elapsed[-2], elapsed[-1]
    raise SegmentationDataError(
        "segmentation needs customer features of two moments at least 30 days before the newest transaction: "
        "ingest a longer history, then run `shopsphere build`"
    )


def _ids(model: Model, data: Dataset) -> Array:
    return model.predict(tabular.to_columns(data.test, NAMES), {})["cluster_id"]


def _space(data: Dataset) -> Array:
    """The test customers in the space whose scales are the training customers'."""
    defaults = tabular.medians(data.train, NAMES)
    scales = segment_fit.scales(tabular.to_columns(data.train, NAMES), defaults)
    return segments.space(tabular.to_columns(data.test, NAMES), defaults, scales)


def _silhouettes(model: Model, data: Dataset) -> Array:
    rows = _space(data)
    chosen = segment_fit.sample(len(rows))
    return segment_fit.silhouettes(rows[chosen], _ids(model, data)[chosen])


def _eta_squared(values: Array, ids: Array) -> float:
    total = float(np.square(values - values.mean()).sum())
    between = sum(
        (ids == number).sum() * (values[ids == number].mean() - values.mean()) ** 2 for number in np.unique(ids)
    )
    return float(between) / total if total > 0 else 0.0


SEGMENTATION = UseCase(
    name="segmentation",
    title="Customer segments",
    not_for="causes, forecasts and decisions about a person: a segment says how somebody bought so far.",
    entity="customer",
    feature_table=FEATURES,
    features=(
        Feature(name="recency_days", override=True, minimum=0),
        Feature(name="tx_count", override=True, integer=True, minimum=0),
        Feature(name="monetary", override=True),
        Feature(name="avg_discount", override=True, minimum=0, maximum=1),
        Feature(name="avg_quantity", override=True, minimum=0),
        Feature(name="age", override=True, integer=True, minimum=0, maximum=130),
        Feature(name="loyalty_level", override=True, integer=True, minimum=0, maximum=3),
    ),
    options=(),
    outputs=("cluster_id", "segment_name"),
    primary_metric="silhouette",
    higher_is_better=True,
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
NAMES = [feature.name for feature in SEGMENTATION.features]
