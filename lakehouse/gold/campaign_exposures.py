"""`gold.campaign_exposures`: one row per customer and campaign that reached them, as of then, with the outcome."""

import polars as pl

from lakehouse.gold.before import KEY, Keys
from lakehouse.gold.customer_features import features_at
from lakehouse.gold.history import History

TABLE = "gold.campaign_exposures"
SAME = ["customer_id", "campaign_id", "as_of", "window_end"]


def campaign_exposures(history: History, *, kept: pl.DataFrame | None = None) -> pl.DataFrame:
    """A bucket's rows: the exposure, its window and outcome, and all customer features as of the exposure.

    `kept` are rows made before whose features and outcome cannot have changed since; those of exposures that are still
    there are taken as they are.
    """
    found = history.exposures
    if kept is not None:
        kept = kept.join(found, on=SAME, how="semi")
        found = found.join(kept, on=SAME, how="anti")
    rows = found.join(features_at(history, Keys.of(found)), on=KEY, how="left")
    rows = rows.with_columns(pl.col("campaign_days").cast(pl.Float64))
    if kept is not None:
        rows = pl.concat([rows, kept.select(rows.columns)])
    return rows.sort("as_of", "campaign_id", "customer_id")
