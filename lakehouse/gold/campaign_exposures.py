"""`gold.campaign_exposures`: one row per customer and campaign that reached them, as of then, with the outcome."""

import polars as pl

from lakehouse.gold.before import KEY, Keys
from lakehouse.gold.customer_features import features_at
from lakehouse.gold.history import History

TABLE = "gold.campaign_exposures"


def campaign_exposures(history: History) -> pl.DataFrame:
    """A bucket's rows: the exposure, its window and outcome, and all customer features as of the exposure."""
    features = features_at(history, Keys.of(history.exposures))
    rows = history.exposures.join(features, on=KEY, how="left")
    return rows.with_columns(pl.col("campaign_days").cast(pl.Float64)).sort("as_of", "campaign_id", "customer_id")
