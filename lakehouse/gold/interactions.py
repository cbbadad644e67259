"""`gold.interactions`: one row per customer, product and as_of, where the customer bought, viewed or carted it."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from lakehouse.gold.history import DAY, Silver

TABLE = "gold.interactions"
HALF_LIFE_DAYS = 60.0


def interactions(silver: Silver, bucket: int, moments: Sequence[datetime]) -> pl.DataFrame:
    """A bucket's rows for the given as_ofs.

    `purchase_count` counts baskets; `recency_weight` sums 0.5 ^ (age / 60 days) over them; `recency_days` is the time
    since the last interaction of any kind. Refunds do not count.
    """
    grain = ["customer_id", "product_id", "timestamp"]
    mine = (pl.col("bucket") == bucket) & pl.col("product_id").is_not_null()
    baskets = (
        silver.scan("silver.transactions")
        .filter(mine, pl.col("refund_flag").fill_null(0) == 0)
        .group_by(grain)
        .agg(units=pl.col("quantity").sum())
        .with_columns(purchase_count=pl.lit(1, dtype=pl.Int64))
    )
    seen = (
        silver.scan("silver.events")
        .filter(mine, pl.col("event_type").is_in(["view", "add_to_cart"]))
        .group_by(grain)
        .agg(
            view_count=(pl.col("event_type") == "view").sum().cast(pl.Int64),
            add_to_cart_count=(pl.col("event_type") == "add_to_cart").sum().cast(pl.Int64),
        )
    )
    steps = pl.concat([baskets, seen], how="diagonal").filter(pl.col("timestamp") < max(moments))
    found = steps.collect(engine="streaming")
    return pl.concat(_rows(found, moment) for moment in moments)


def _rows(steps: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    age_days = (pl.lit(as_of) - pl.col("timestamp")) / pl.lit(DAY)
    bought = pl.col("purchase_count").fill_null(0)
    return (
        steps.lazy()
        .filter(pl.col("timestamp") < as_of)
        .with_columns(age_days=age_days)
        .group_by("customer_id", "product_id")
        .agg(
            purchase_count=bought.sum(),
            units=pl.col("units").sum(),
            recency_days=pl.col("age_days").min(),
            recency_weight=(bought * 0.5 ** (pl.col("age_days") / HALF_LIFE_DAYS)).sum(),
            view_count=pl.col("view_count").sum(),
            add_to_cart_count=pl.col("add_to_cart_count").sum(),
        )
        .select("customer_id", "product_id", pl.lit(as_of).alias("as_of"), pl.exclude("customer_id", "product_id"))
        .sort("customer_id", "product_id")
        .collect()
    )
