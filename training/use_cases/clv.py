"""Customer lifetime value: what a customer will spend in the 180 days after as_of, net of refunds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import ShopSphereError
from training import artifact, bootstrap, explain, purchase_fit, purchase_process, regression, spend_design, tabular
from training.constant import ConstantModel
from training.spend_design import HORIZON_DAYS
from training.spend_model import LEVELS, SpendModel
from training.use_case import Columns, Dataset, Decision, Feature, Metrics, Model, UseCase

if TYPE_CHECKING:
    import polars as pl

    from lakehouse.storage import Lake

FEATURES = "gold.customer_features"
TRANSACTIONS = "silver.transactions"
LABEL_DAYS = (180, 90, 60, 30)
"""Lengths of training labels, best first; shorter ones are scaled up where the history has no room for longer ones."""
ENOUGH_HISTORY_DAYS = 90
COVERAGE = 0.7
"""Below it, an interval that claims 80 % of the customers misleads."""


class NotEnoughHistoryError(ShopSphereError):
    """The lake's history is too short to train and test on separate times."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """Customers, buyers or not yet, at cutoffs 30 days apart; `label` is the net spend per 180 days that followed.

    The test cutoff is the newest one whose 180 days have elapsed, 30 days earlier for each `window`. Training labels
    end before it (with `refit`, before the data's clock), and are of the longest length for which a cutoff has enough
    history.

    Raises:
        NotEnoughHistoryError: there is no such cutoff.
    """
    import polars as pl

    from lakehouse.gold.customer_features import label_as_ofs
    from lakehouse.gold.frozen_lake import data_span
    from lakehouse.query_examples import run_example

    versions = versions or {table: lake.version(table) for table in (FEATURES, TRANSACTIONS)}
    first, clock = data_span(lake, versions[TRANSACTIONS])
    present = lake.scan(FEATURES, versions[FEATURES]).select(pl.col("as_of").unique()).collect()["as_of"]
    cutoffs = [moment for moment in label_as_ofs(first, clock) if moment in set(present)]
    elapsed = [cutoff for cutoff in cutoffs if cutoff + timedelta(days=HORIZON_DAYS) <= clock]
    elapsed = elapsed[: max(len(elapsed) - window, 0)]
    if not elapsed:
        raise NotEnoughHistoryError(
            f"clv needs features from {HORIZON_DAYS + 30 * window} days before the data's clock ({clock}), "
            f"the lake has none: ingest a longer history, then run `shopsphere build`"
        )
    end = clock if refit else elapsed[-1]
    days, chosen = _training_cutoffs(cutoffs, first=first, end=end)
    labelled = partial(run_example, lake, "training_clv", versions=versions)
    test = labelled(cutoffs=elapsed[-1:], days=HORIZON_DAYS)
    return Dataset(
        train=labelled(cutoffs=chosen, days=days),
        test=test.clear() if refit else test,
        labels_end=chosen[-1] + timedelta(days=days),
        as_of=elapsed[-1],
        data_versions=versions,
        extra={"label_days": days},
    )


def fit(data: Dataset) -> Model:
    """Boosted trees blended with repeated spend, and conformal percentiles; see `training.spend_fit`."""
    from training.spend_fit import fit_spend

    return fit_spend(data.train, names=NAMES, label_days=data.extra["label_days"])


def fit_baseline(data: Dataset) -> Model:
    """The average customer: the same mean, and the same percentiles, for everybody."""
    label = data.train["label"].to_numpy()
    levels = {name: max(float(np.quantile(label, level)), 0.0) for name, level in LEVELS.items()}
    defaults = tabular.medians(data.train, NAMES)
    return ConstantModel("clv", output="clv_180d", value=float(label.mean()), defaults=defaults, beside=levels)


def shuffled(data: Dataset, seed: int) -> Dataset:
    """The same with each training customer's spend given to another one."""
    order = np.random.default_rng(seed).permutation(data.train.height)
    labels = data.train.select("label", "label_half")[order]
    return replace(data, train=data.train.with_columns(labels))


def evaluate(model: Model, data: Dataset) -> Metrics:
    """Error, ranking, calibration and the interval's coverage on the test customers; see `training.regression`."""
    actual, answers = data.test["label"].to_numpy(), _answers(model, data.test)
    found = regression.metrics(actual, answers["clv_180d"])
    if "clv_180d_p90" in answers:
        found |= regression.interval_metrics(actual, answers["clv_180d_p10"], answers["clv_180d_p90"])
    return found


def references(data: Dataset) -> dict[str, Metrics]:
    """The strong baselines: BG/NBD with Gamma-Gamma, the last 180 days again, the last 90 days twice, their mean."""
    import polars as pl

    actual = data.test["label"].to_numpy()
    defaults = tabular.medians(data.train, NAMES)
    newest = data.train.filter(pl.col("as_of") == pl.col("as_of").max())
    then, now = (spend_design.filled(tabular.to_columns(rows, NAMES), defaults) for rows in (newest, data.test))
    process = purchase_fit.fit_process(then)
    found = {
        "bgnbd_gamma_gamma": purchase_process.expected_spend(process, now, days=HORIZON_DAYS),
        "last_180_days_repeated": now["spend_180d"],
        "last_90_days_doubled": 2 * now["spend_90d"],
        "mean_of_both": (now["spend_180d"] + 2 * now["spend_90d"]) / 2,
    }
    return {name: regression.metrics(actual, predicted) for name, predicted in found.items()}


def gate(candidate: Metrics, champion: Metrics) -> Decision:
    """Better by more than noise in root mean squared error, right in sum within a quarter, and not falsely sure."""
    reasons = []
    if not candidate["gain_low"] > 0:
        reasons.append(
            f"rmse {candidate['rmse']:.4g} is not below the champion's {champion['rmse']:.4g} by more than noise"
        )
    if not 0.75 <= candidate["calibration"] <= 1.25:
        reasons.append(f"it predicts {candidate['calibration']:.0%} of what was spent in sum, not 75 % to 125 %")
    if candidate.get("coverage_80", COVERAGE) < COVERAGE:
        reasons.append(f"its interval for 80 % of the customers holds only {candidate['coverage_80']:.0%} of them")
    passed = f"rmse {candidate['rmse']:.4g} beats the champion's {champion['rmse']:.4g} by more than noise"
    return Decision(promote=not reasons, reasons=reasons or [passed])


def gains(candidate: Model, champion: Model, data: Dataset) -> np.ndarray[Any, Any]:
    """By how much the candidate's rmse is lower, on resampled test customers."""
    actual = data.test["label"].to_numpy()
    squared = [np.square(_answers(model, data.test)["clv_180d"] - actual) for model in (champion, candidate)]
    return bootstrap.paired_gains(
        lambda rows: float(np.sqrt(squared[0][rows].mean()) - np.sqrt(squared[1][rows].mean())), len(actual)
    )


def figures(model: Model, data: Dataset) -> dict[str, Any]:
    """Predicted and actual spend by decile of the prediction."""
    actual = data.test["label"].to_numpy()
    title = f"Spend in the 180 days after {data.as_of:%Y-%m-%d}: predicted and actual"
    return {"deciles.png": regression.decile_figure(actual, _answers(model, data.test)["clv_180d"], title=title)}


def load(folder: Path) -> Model:
    """The model in an artifact folder."""
    stored = artifact.read(folder)
    return ConstantModel.load(stored) if stored.kind == ConstantModel.kind else SpendModel.load(stored)


def explain_one(model: Model, inputs: Columns, options: Columns) -> dict[str, Any]:
    """What each input adds to `base_value`, in money: together they are the answer."""
    if not isinstance(model, SpendModel):
        return explain.nothing_but(float(model.predict(inputs, options)["clv_180d"][0]))
    return explain.additive(*model.contributions(inputs), values=model.used(inputs))


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Five training customers, nulls kept as NaN."""
    return tabular.to_columns(data.train.head(5), NAMES), {}


def _training_cutoffs(cutoffs: list[datetime], *, first: datetime, end: datetime) -> tuple[int, list[datetime]]:
    for days in LABEL_DAYS:
        history = timedelta(days=min(days, ENOUGH_HISTORY_DAYS))
        chosen = [c for c in cutoffs if c + timedelta(days=days) <= end and c - first >= history]
        if chosen:
            return days, chosen
    raise NotEnoughHistoryError(
        f"clv needs at least {2 * LABEL_DAYS[-1]} days of transactions before {end:%Y-%m-%d}, the first is of {first}: "
        "ingest a longer history, then run `shopsphere build`"
    )


def _answers(model: Model, rows: pl.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    return model.predict(tabular.to_columns(rows, NAMES), {})


CLV = UseCase(
    name="clv",
    title="Customer lifetime value, 180 days",
    not_for="decisions about a person, such as credit or service: it ranks customers and sums up budgets.",
    predicts_label=True,
    entity="customer",
    feature_table=FEATURES,
    features=(
        Feature(name="recency_days", override=True, minimum=0),
        Feature(name="tx_count", override=True, integer=True, minimum=0),
        Feature(name="monetary", override=True),
        Feature(name="avg_discount", override=True, minimum=0, maximum=1),
        Feature(name="avg_quantity", override=True, minimum=0),
        Feature(name="premium_tx_share", override=True, minimum=0, maximum=1),
        Feature(name="events_view_count", override=True, integer=True, minimum=0),
        Feature(name="events_add_to_cart_count", override=True, integer=True, minimum=0),
        Feature(name="events_purchase_count", override=True, integer=True, minimum=0),
        Feature(name="avg_session_duration_sec", override=True, minimum=0),
        Feature(name="age", override=True, integer=True, minimum=0, maximum=130),
        Feature(name="is_male", override=True, integer=True, minimum=0, maximum=1),
        Feature(name="loyalty_level", override=True, integer=True, minimum=0, maximum=3),
        Feature(name="tenure_days"),
        Feature(name="signup_days"),
        *(Feature(name=f"spend_{span}d") for span in spend_design.SPANS),
        *(Feature(name=f"tx_count_{span}d", integer=True) for span in spend_design.SPANS),
        Feature(name="category_count", integer=True),
    ),
    options=(),
    outputs=("clv_180d", *LEVELS),
    primary_metric="rmse",
    higher_is_better=False,
    dataset=dataset,
    fit=fit,
    fit_baseline=fit_baseline,
    evaluate=evaluate,
    references=references,
    gate=gate,
    figures=figures,
    load=load,
    explain=explain_one,
    example=example,
    gains=gains,
    shuffled=shuffled,
)
NAMES = [feature.name for feature in CLV.features]
