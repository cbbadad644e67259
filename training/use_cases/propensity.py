"""Campaign propensity: the chance that a customer whom a campaign reaches responds within its window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import ShopSphereError
from training import artifact, bootstrap, classification, explain, logistic, response_model, tabular
from training.constant import ConstantModel
from training.response_model import ResponseModel
from training.spend_design import SPANS
from training.use_case import Columns, Dataset, Decision, Feature, Metrics, Model, UseCase

if TYPE_CHECKING:
    import polars as pl

    from lakehouse.storage import Lake

Array = np.ndarray[Any, Any]
EXPOSURES = "gold.campaign_exposures"
FEATURES = "gold.customer_features"
TEST_SHARE = 0.3
TEST_SHARES = (0.2, 0.35)
ENOUGH_ROWS = 50
CALIBRATION = 2.0
"""Campaigns differ in how many respond; beyond this factor, a probability is none."""
LOG_LOSS = 1.001
"""How much greater than the champion's a log loss may be, so that rounding is not held against a candidate."""
AUC_WITHIN = 0.52
"""Below it a model tells campaigns apart, by their length say, and not customers."""


class PropensityDataError(ShopSphereError):
    """There are too few exposures with a known outcome."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """Exposures with elapsed windows; `label` is whether the customer responded.

    The newest, about 30 %, are tested on; trained on are those whose window had ended before the first of them. Each
    `window` looks at those alone that the next newer one trains on.

    Raises:
        PropensityDataError: too few exposures, or all with the same outcome.
    """
    import polars as pl

    from lakehouse.query_examples import run_example

    versions = versions or {EXPOSURES: lake.version(EXPOSURES), FEATURES: lake.version(FEATURES)}
    known = run_example(lake, "training_propensity", versions=versions)
    if known.is_empty():
        raise PropensityDataError("propensity needs campaign exposures whose windows have ended: the lake has none")
    for _ in range(window):
        known = known.filter(pl.col("window_end") <= _start(known))
        if known.is_empty():
            raise PropensityDataError(f"propensity has no exposures {window} test windows back")
    start = _start(known)
    earlier = known.filter(pl.col("window_end") <= start)
    test = known.filter(pl.col("as_of") >= start)
    train = known if refit else earlier
    if min(train.height, test.height) < ENOUGH_ROWS or train["label"].n_unique() < 2:
        raise PropensityDataError(
            f"propensity needs {ENOUGH_ROWS} exposures to train on and to test on, with and without a response: "
            f"there are {train.height} and {test.height}"
        )
    return Dataset(
        train=train,
        test=test.clear() if refit else test,
        labels_end=train["window_end"].max(),  # type: ignore[arg-type]
        as_of=start,
        data_versions=versions,
    )


def _start(known: pl.DataFrame) -> datetime:
    """Where the test begins: as a campaign starts, with the newest 20 % to 35 % of the exposures from there on.

    Of such starts, the first one before which most windows have ended. Where there is none, it is the newest 30 %.
    """
    import polars as pl

    starts = known.group_by("campaign_id").agg(pl.col("as_of").min())["as_of"].unique().sort()
    least, most = (known.height * share for share in TEST_SHARES)
    fitting: list[datetime] = [start for start in starts if least <= int((known["as_of"] >= start).sum()) <= most]
    if fitting:
        return max(fitting, key=lambda start: int((known["window_end"] <= start).sum()))
    moment: datetime = known["as_of"][int(known.height * (1 - TEST_SHARE))]
    return moment


def fit(data: Dataset) -> Model:
    """Logistic regression and boosted trees; see `training.response_fit`."""
    from training.response_fit import fit_response

    return fit_response(data.train, names=NAMES)


def fit_baseline(data: Dataset) -> Model:
    """The base rate: the share of all that responded."""
    rate = float(data.train["label"].to_numpy().mean())
    return ConstantModel("propensity", output="prob_response", value=rate, defaults=tabular.medians(data.train, NAMES))


def shuffled(data: Dataset, seed: int) -> Dataset:
    """The same with each training exposure's outcome given to another one, of any campaign.

    Within campaigns it would not do: those reach different customers, so that their rates tell customers apart.
    """
    import polars as pl

    return replace(data, train=data.train.with_columns(pl.col("label").shuffle(seed=seed)))


def evaluate(model: Model, data: Dataset) -> Metrics:
    """Ranking and calibration on the test exposures; `auc_within` ranks within each campaign only."""
    actual, predicted = data.test["label"].to_numpy(), _answers(model, data.test)
    return {**classification.metrics(actual, predicted), "auc_within": _auc_within(data.test, predicted)}


def references(data: Dataset) -> dict[str, Metrics]:
    """A logistic regression alone, and rankings without a model: the smoothed past response rate, and past spend."""
    import polars as pl

    actual = data.test["label"].to_numpy()
    found = {}
    for name, column in (("past_response_rate", "response_rate"), ("past_spend", "monetary")):
        values = data.test[column].cast(pl.Float64).to_numpy()
        found[name] = {"auc": classification.auc(actual, values), "auc_within": _auc_within(data.test, values)}
    defaults = tabular.medians(data.train, NAMES)
    then, now = (tabular.matrix(tabular.to_columns(rows, NAMES), defaults) for rows in (data.train, data.test))
    chance = response_model.sigmoid(logistic.log_odds(logistic.fit_line(then, data.train["label"].to_numpy()), now))
    found["logistic"] = {**classification.metrics(actual, chance), "auc_within": _auc_within(data.test, chance)}
    return found


def gate(candidate: Metrics, champion: Metrics) -> Decision:
    """Ranks better by more than noise, within campaigns too, and its probabilities cost no more than the champion's."""
    reasons = []
    if not candidate["gain_low"] > 0:
        reasons.append(
            f"AUC {candidate['auc']:.3f} is not above the champion's {champion['auc']:.3f} by more than noise"
        )
    if candidate["auc_within"] < AUC_WITHIN:
        reasons.append(f"within a campaign its AUC is {candidate['auc_within']:.3f}: it cannot tell customers apart")
    if not 1 / CALIBRATION <= candidate["calibration"] <= CALIBRATION:
        reasons.append(f"it predicts {candidate['calibration']:.0%} of the responses in sum, not 50 % to 200 %")
    if candidate["log_loss"] > LOG_LOSS * champion["log_loss"]:
        reasons.append(f"log loss {candidate['log_loss']:.4f} is above the champion's {champion['log_loss']:.4f}")
    passed = f"AUC {candidate['auc']:.3f} is above the champion's {champion['auc']:.3f} by more than noise"
    return Decision(promote=not reasons, reasons=reasons or [passed])


def gains(candidate: Model, champion: Model, data: Dataset) -> Array:
    """By how much the candidate's AUC is higher, on resampled test exposures."""
    actual = data.test["label"].to_numpy()
    ours, theirs = _answers(candidate, data.test), _answers(champion, data.test)

    def gain(rows: Array) -> float:
        return classification.auc(actual[rows], ours[rows]) - classification.auc(actual[rows], theirs[rows])

    return bootstrap.paired_gains(gain, len(actual))


def figures(model: Model, data: Dataset) -> dict[str, Any]:
    """Responses by decile of the prediction."""
    actual = data.test["label"].to_numpy()
    title = f"Responses to campaigns from {data.as_of:%Y-%m-%d}: predicted and actual"
    return {"calibration.png": classification.figure(actual, _answers(model, data.test), title=title)}


def load(folder: Path) -> Model:
    """The model in an artifact folder."""
    stored = artifact.read(folder)
    return ConstantModel.load(stored) if stored.kind == ConstantModel.kind else ResponseModel.load(stored)


def explain_one(model: Model, inputs: Columns, options: Columns) -> dict[str, Any]:
    """What each input adds to `base_value`, in log-odds: together they are those of the answer."""
    if not isinstance(model, ResponseModel):
        chance = float(np.clip(model.predict(inputs, options)["prob_response"][0], 1e-9, 1 - 1e-9))
        return explain.nothing_but(float(np.log(chance / (1 - chance))))
    return explain.additive(*model.contributions(inputs), values=model.used(inputs))


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Five training exposures, nulls kept as NaN."""
    return tabular.to_columns(data.train.head(5), NAMES), {}


def _answers(model: Model, rows: pl.DataFrame) -> Array:
    return model.predict(tabular.to_columns(rows, NAMES), {})["prob_response"]


def _auc_within(test: pl.DataFrame, predicted: Array) -> float:
    """AUC over pairs of one campaign, weighted by the number of pairs."""
    total, pairs = 0.0, 0
    campaigns, actual = test["campaign_id"].to_numpy(), test["label"].to_numpy()
    for campaign in np.unique(campaigns):
        chosen = campaigns == campaign
        count = int(actual[chosen].sum() * (1 - actual[chosen]).sum())
        total, pairs = total + count * classification.auc(actual[chosen], predicted[chosen]), pairs + count
    return total / pairs if pairs else 0.5


PROPENSITY = UseCase(
    name="propensity",
    title="Campaign propensity",
    not_for="the effect of a campaign: it says who responds, not whom the campaign persuades.",
    predicts_label=True,
    entity="customer",
    feature_table=FEATURES,
    features=(
        Feature(name="age", override=True, integer=True, minimum=0, maximum=130),
        Feature(name="is_male", override=True, integer=True, minimum=0, maximum=1),
        Feature(name="loyalty_level", override=True, integer=True, minimum=0, maximum=3),
        Feature(name="uplift_mean", override=True, minimum=-1, maximum=1),
        Feature(name="events_view_count", override=True, integer=True, minimum=0),
        Feature(name="events_add_to_cart_count", override=True, integer=True, minimum=0),
        Feature(name="events_purchase_count", override=True, integer=True, minimum=0),
        Feature(name="recency_days"),
        Feature(name="tx_count", integer=True),
        Feature(name="monetary"),
        Feature(name="avg_discount"),
        Feature(name="avg_quantity"),
        Feature(name="premium_tx_share"),
        Feature(name="avg_session_duration_sec"),
        *(Feature(name=f"spend_{span}d") for span in SPANS),
        *(Feature(name=f"tx_count_{span}d", integer=True) for span in SPANS),
        Feature(name="mean_gap_days"),
        Feature(name="category_count", integer=True),
        Feature(name="product_count", integer=True),
        Feature(name="tenure_days"),
        Feature(name="signup_days"),
        Feature(name="events_click_count", integer=True),
        Feature(name="exposure_count", integer=True),
        Feature(name="response_count", integer=True),
        Feature(name="response_rate"),
        Feature(name="days_since_exposure"),
        Feature(name="campaign_days"),
    ),
    options=("campaign_id",),
    outputs=("prob_response",),
    primary_metric="auc",
    higher_is_better=True,
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
NAMES = [feature.name for feature in PROPENSITY.features]
