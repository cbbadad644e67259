"""`gold.campaign_exposures`: one row per customer and campaign that reached them, as of then, with the outcome."""

import polars as pl

from lakehouse.gold.customer_features import features_at
from lakehouse.gold.history import History

TABLE = "gold.campaign_exposures"
SLICE = 20_000
"""Exposures looked at together, which bounds the memory."""


def campaign_exposures(history: History) -> pl.DataFrame:
    """The table's rows: the exposure, its window and outcome, and all customer features as of the exposure."""
    keys = history.exposures.select("customer_id", "as_of").unique()
    features = pl.concat(features_at(history, part) for part in keys.iter_slices(SLICE))
    rows = history.exposures.join(features, on=["customer_id", "as_of"], how="left")
    return rows.with_columns(pl.col("campaign_days").cast(pl.Float64)).sort("as_of", "campaign_id", "customer_id")
