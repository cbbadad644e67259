"""`gold.campaign_exposures`: one row per customer and campaign that reached them, as of then, with the outcome."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lakehouse.gold.before import KEY, Keys
from lakehouse.gold.customer_features import features_at
from lakehouse.gold.exposures import facts
from lakehouse.gold.history import History
from lakehouse.gold.months import MONTH, month_of

TABLE = "gold.campaign_exposures"
PAIR = ["customer_id", "campaign_id"]


@dataclass(frozen=True)
class Made:
    """A bucket's rows made before; what they say of the time up to `unchanged` holds.

    found: the exposures, with neither features nor outcome. rows: the whole rows, `month` among their columns.
    """

    found: pl.DataFrame
    rows: pl.LazyFrame
    unchanged: datetime

    @classmethod
    def of(cls, rows: pl.LazyFrame, unchanged: datetime) -> "Made":
        """Those of a version of the table."""
        return cls(rows.select(*PAIR, "as_of", "window_end").collect(), rows, unchanged)

    @property
    def holding(self) -> pl.DataFrame:
        """The exposures that are still there."""
        return self.found.filter(pl.col("as_of") <= self.unchanged)


def campaign_exposures(history: History, *, made: Made | None = None) -> tuple[pl.DataFrame, list[object] | None]:
    """A bucket's rows: the exposure, its window and outcome, and all customer features as of the exposure.

    With rows made before, those of the months in which anything differs, and these months; else all rows and None.
    Features that hold are taken from there, for outcomes become known long after them.
    """
    found = history.exposures.with_columns(month_of("as_of"))
    if made is None:
        return _with_features(history, found), None
    open_ = pl.max_horizontal("as_of", "window_end") > made.unchanged
    months = pl.concat(rows.filter(open_).select(month_of("as_of")) for rows in (found, made.found))[MONTH].unique()
    inside = pl.col(MONTH).is_in(months.implode())
    found = found.filter(inside)
    kept = made.rows.filter(inside, pl.col("as_of") <= made.unchanged).drop(MONTH).collect()
    features = [name for name in kept.columns if name not in found.columns]
    old = found.join(kept.select(*PAIR, "as_of", *features), on=[*PAIR, "as_of"])
    new = _with_features(history, found.join(kept, on=[*PAIR, "as_of"], how="anti"))
    return pl.concat([new, old.select(new.columns)]).sort("as_of", *reversed(PAIR)), months.to_list()


def _with_features(history: History, found: pl.DataFrame) -> pl.DataFrame:
    found = found.sort("as_of", *reversed(PAIR))
    rows = found.join(facts(history.campaigns), on="campaign_id", how="left", maintain_order="left")
    features = features_at(history.of(found["customer_id"]), Keys(found.select(KEY)))
    return pl.concat([rows, features.drop(KEY)], how="horizontal")
