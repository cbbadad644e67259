"""Customer segments by recency, orders and spend: stable groups with names, compared with a plain rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import ShopSphereError
from training import artifact, bootstrap, segment_fit, segments, tabular
from training.segments import CentreModel, RuleModel
from training.use_case import Columns, Dataset, Decision, Feature, Metrics, Model, Resampled, UseCase

if TYPE_CHECKING:
    from lakehouse.storage import Lake

Array = np.ndarray[Any, Any]
FEATURES = "gold.customer_features"
TRANSACTIONS = "silver.transactions"
NEXT_DAYS = (180, 90, 60, 30)
"""Lengths of the next period whose spend segments should tell apart; the longest that has elapsed is taken."""
LEAST_USE = 0.01
"""Share of the variance of next spend below which segments are not worth having."""


class SegmentationDataError(ShopSphereError):
    """There are no two moments to fit and to test segments at."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """Buyers as of one moment to fit on, buyers 30 days later to test on: `label` is what those spent next.

    Both moments are 30 days earlier for each `window`. With `refit` the newest buyers are fitted on and none tested;
    as many segments as before the test, which the gate has judged: `extra["known"]` are the buyers that their number
    is chosen on, with their spend until the test. Segments have no label: `labels_end` is the moment fitted on.

    Raises:
        SegmentationDataError: the lake has features of one moment only, or nobody bought.
    """
    import polars as pl

    from lakehouse.gold.customer_features import label_as_ofs
    from lakehouse.gold.frozen_lake import data_span
    from lakehouse.query_examples import run_example

    versions = versions or {table: lake.version(table) for table in (FEATURES, TRANSACTIONS)}
    features = lake.scan(FEATURES, versions[FEATURES]).filter(pl.col("tx_count") > 0)
    first, clock = data_span(lake, versions[TRANSACTIONS])
    present = set(features.select(pl.col("as_of").unique()).collect()["as_of"])
    moments = [moment for moment in label_as_ofs(first, clock) if moment in present]
    days, fitted, tested = _moments(moments[: max(len(moments) - window, 0)], clock)
    chosen = moments[-1] if refit else fitted
    rows = run_example(lake, "training_segmentation", versions=versions, moments=[chosen, tested], days=days)
    test = rows.filter(pl.col("as_of") == tested)
    until = (tested - fitted).days
    known = run_example(lake, "training_segmentation", versions=versions, moments=[fitted], days=until)
    return Dataset(
        train=rows.filter(pl.col("as_of") == chosen).drop("label"),
        test=test.clear() if refit else test,
        labels_end=chosen,
        as_of=tested,
        data_versions=versions,
        extra={"next_days": days, "known": known, "known_days": until},
    )


def fit(data: Dataset) -> Model:
    """K-means on logarithms of recency, orders and spend; see `training.segment_fit`."""
    from training import segment_meaning

    known, defaults = data.extra["known"], tabular.medians(data.train, NAMES)
    model = segment_fit.fit_centres(
        tabular.to_columns(data.train, NAMES),
        defaults,
        known=tabular.to_columns(known, NAMES),
        next_spend=known["label"].to_numpy(),
    )
    return segment_meaning.described(model, known, days=data.extra["known_days"])


def fit_baseline(data: Dataset) -> Model:
    """The rule: thirds of spend, halved by recency."""
    import polars as pl

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
    of the next period's spend (and of its logarithm) that the segment explains, and `eta_squared_chance` what groups
    drawn at random would hardly exceed; `bootstrap_ari` is the agreement of refits on resampled training customers, 0
    for a rule, which is not refitted. `migration_rate`: see `segment_meaning.continued`.
    """
    ids, spend = _ids(model, data), data.test["label"].to_numpy()
    count = int(model.params["segments"])
    found = {
        **_measures(ids, spend, _silhouettes(model, data), count=count),
        "bootstrap_ari": float(model.params.get("bootstrap_ari", 0.0)),
        "segments": float(count),
        "eta_squared_chance": (count - 1 + 3 * float(np.sqrt(2 * (count - 1)))) / max(len(ids) - 1, 1),
    }
    moved = model.params.get("migration_rate")
    return found if moved is None else {**found, "migration_rate": float(moved)}


def resampled(model: Model, data: Dataset) -> Resampled:
    """Customers are drawn; each keeps the silhouette that it has among all."""
    ids, spend, apart = _ids(model, data), data.test["label"].to_numpy(), _silhouettes(model, data)
    count = int(model.params["segments"])
    return len(ids), lambda drawn: _measures(ids[drawn], spend[drawn], apart[drawn % len(apart)], count=count)


def references(data: Dataset) -> dict[str, Metrics]:
    """Six equal groups by spend alone: what a segment should beat to be worth its complexity."""
    import polars as pl

    monetary = data.test["monetary"].cast(pl.Float64).to_numpy()
    ids = np.searchsorted(np.quantile(monetary, np.arange(1, 6) / 6), monetary, side="right")
    spend = data.test["label"].to_numpy()
    rows = _space(data)
    chosen = segment_fit.sample(len(rows))
    silhouette = float(segment_fit.silhouettes(rows[chosen], ids[chosen]).mean())
    return {"spend_sextiles": {"silhouette": silhouette, "eta_squared": segment_fit.eta_squared(spend, ids)}}


def gate(candidate: Metrics, champion: Metrics) -> Decision:
    """Stable under resampling, no tiny segment, telling of next spend, and further apart than the champion's."""
    reasons = []
    if candidate["bootstrap_ari"] < segment_fit.STABLE_ARI:
        reasons.append(
            f"segments are not stable: refits agree by an adjusted Rand index of {candidate['bootstrap_ari']:.2f}, "
            f"not {segment_fit.STABLE_ARI:.2f}"
        )
    if candidate["smallest_share"] < segment_fit.SMALLEST_SHARE:
        reasons.append(f"the smallest segment has {candidate['smallest_share']:.1%} of the customers, not 3 %")
    useful, chance = candidate["eta_squared_log"], candidate["eta_squared_chance"]
    if useful < max(LEAST_USE, chance):
        reasons.append(
            f"the segment tells {useful:.1%} of what customers spend next, less than {max(LEAST_USE, chance):.1%}: "
            "who is in which makes no difference"
        )
    if not candidate["gain_low"] > 0:
        reasons.append(
            f"silhouette {candidate['silhouette']:.3f} is not above the champion's {champion['silhouette']:.3f} "
            "by more than noise"
        )
    passed = (
        f"silhouette {candidate['silhouette']:.3f} beats the champion's {champion['silhouette']:.3f}, "
        f"refits agree by {candidate['bootstrap_ari']:.2f}, segments tell {useful:.0%} of next spend"
    )
    return Decision(promote=not reasons, reasons=reasons or [passed])


def gains(candidate: Model, champion: Model, data: Dataset) -> Array:
    """By how much the candidate's silhouette is higher, on resampled test customers."""
    difference = _silhouettes(candidate, data) - _silhouettes(champion, data)
    return bootstrap.paired_gains(lambda rows: float(difference[rows].mean()), len(difference))


def figures(model: Model, data: Dataset) -> dict[str, Any]:
    """The segments' profiles."""
    from training.segment_figure import profile_figure

    names = model.params["names"]
    numbers = model.numbers if isinstance(model, CentreModel) else list(range(len(names)))
    figure = profile_figure(_ids(model, data), dict(zip(numbers, names, strict=True)), data)
    return {"segments.png": figure}


def load(folder: Path) -> Model:
    """The model in an artifact folder."""
    stored = artifact.read(folder)
    return RuleModel.load(stored) if stored.kind == RuleModel.kind else CentreModel.load(stored)


def explain(model: Model, inputs: Columns, options: Columns) -> dict[str, Any]:
    """The profile of the segment, and the distance to every segment's centre, nearest first.

    Empty for the rule, which has no centres, and for those who never bought, whom no distance decides.
    """
    cluster_id = int(model.predict(inputs, options)["cluster_id"][0])
    if not isinstance(model, CentreModel) or cluster_id == segments.PROSPECT:
        return {"distances": []}
    distances, numbers, names = model.distances(inputs)[0], model.numbers, model.params["names"]
    profiles = {profile["cluster_id"]: profile for profile in model.params["profiles"]}
    return {
        "profile": {name: value for name, value in profiles[cluster_id].items() if name != "cluster_id"},
        "distances": [
            {"cluster_id": numbers[place], "segment_name": names[place], "distance": float(distances[place])}
            for place in np.argsort(distances, kind="stable").tolist()
        ],
    }


def continued(model: Model, champion: Model, data: Dataset) -> Model:
    """The model with the champion's ids for the segments that are the champion's still; see `segment_meaning`."""
    from training import segment_meaning

    return segment_meaning.continued(model, champion, data)


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Five training customers, nulls kept as NaN."""
    return tabular.to_columns(data.train.head(5), NAMES), {}


def _moments(moments: list[datetime], end: datetime) -> tuple[int, datetime, datetime]:
    for days in NEXT_DAYS:
        elapsed = [moment for moment in moments if moment + timedelta(days=days) <= end]
        if len(elapsed) > 1:
            return days, elapsed[-2], elapsed[-1]
    raise SegmentationDataError(
        "segmentation needs customer features of two moments at least 30 days before the newest transaction: "
        "ingest a longer history, then run `shopsphere build`"
    )


def _ids(model: Model, data: Dataset) -> Array:
    return model.predict(tabular.to_columns(data.test, NAMES), {})["cluster_id"]


def _measures(ids: Array, spend: Array, apart: Array, *, count: int) -> Metrics:
    _, sizes = np.unique(ids, return_counts=True)
    return {
        "silhouette": float(apart.mean()),
        "smallest_share": float(sizes.min() / len(ids)) if len(sizes) == count else 0.0,
        "eta_squared": segment_fit.eta_squared(spend, ids),
        "eta_squared_log": segment_fit.eta_squared(np.log1p(np.maximum(spend, 0)), ids),
    }


def _space(data: Dataset) -> Array:
    """The test customers in the space whose scales are the training customers'."""
    defaults = tabular.medians(data.train, NAMES)
    scales = segment_fit.scales(tabular.to_columns(data.train, NAMES), defaults)
    return segments.space(tabular.to_columns(data.test, NAMES), defaults, scales)


def _silhouettes(model: Model, data: Dataset) -> Array:
    rows = _space(data)
    chosen = segment_fit.sample(len(rows))
    return segment_fit.silhouettes(rows[chosen], _ids(model, data)[chosen])


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
    resampled=resampled,
    continued=continued,
)
NAMES = [feature.name for feature in SEGMENTATION.features]
