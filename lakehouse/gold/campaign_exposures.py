"""`gold.campaign_exposures`: one row per customer and campaign that reached them, as of then, with the outcome."""

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from lakehouse.gold.before import KEY, Keys
from lakehouse.gold.customer_features import features_at
from lakehouse.gold.exposures import facts
from lakehouse.gold.history import History
from lakehouse.gold.months import MONTH, month_of, month_start

TABLE = "gold.campaign_exposures"
PAIR = ["customer_id", "campaign_id"]


@dataclass(frozen=True)
class Made:
    """A bucket's rows made before, `month` among their columns; what they say of the time up to `unchanged` holds."""

    rows: pl.LazyFrame
    unchanged: datetime


def campaign_exposures(history: History, *, made: Made | None = None) -> tuple[pl.DataFrame, list[date]]:
    """A bucket's rows: the exposure, its window and outcome, and all customer features as of the exposure.

    With rows made before, those from the month of `unchanged` on, and of the earlier months that are given too, for
    outcomes become known long after the exposure. Features that hold are taken from there.
    """
    found = history.exposures.with_columns(month_of("as_of"))
    if made is None:
        return _with_features(history, found), []
    latest = month_start(made.unchanged).date()
    months = found.filter(pl.col("window_end") > made.unchanged)[MONTH].unique()
    inside = (pl.col(MONTH) >= latest) | pl.col(MONTH).is_in(months.implode())
    found = found.filter(inside)
    kept = made.rows.filter(inside, pl.col("as_of") <= made.unchanged).collect()
    old = kept.update(found, on=[*PAIR, "as_of"], include_nulls=True)
    new = _with_features(history, found.join(kept, on=[*PAIR, "as_of"], how="anti"))
    return pl.concat([new, old.select(new.columns)]).sort("as_of", *reversed(PAIR)), months.to_list()


def _with_features(history: History, found: pl.DataFrame) -> pl.DataFrame:
    found = found.sort("as_of", *reversed(PAIR))
    rows = found.join(facts(history.campaigns), on="campaign_id", how="left", maintain_order="left")
    features = features_at(history.of(found["customer_id"]), Keys(found.select(KEY)))
    return pl.concat([rows, features.drop(KEY)], how="horizontal")
