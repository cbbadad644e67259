"""`gold.interactions`: one row per customer, product and as_of, where the customer bought, viewed or carted it."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from lakehouse.gold.history import DAY, Silver

TABLE = "gold.interactions"
HALF_LIFE_DAYS = 60.0
PAIR = ["customer_id", "product_id"]
MEASURES = ["purchase_count", "units", "recency_days", "recency_weight", "view_count", "add_to_cart_count"]
COLUMNS = [*PAIR, "as_of", *MEASURES]


def interactions(silver: Silver, bucket: int, moments: Sequence[datetime]) -> pl.DataFrame:
    """A bucket's rows for the given as_ofs.

    `purchase_count` counts baskets; `recency_weight` sums 0.5 ^ (age / 60 days) over them; `recency_days` is the time
    since the last interaction of any kind. Refunds do not count.
    """
    end, mine = max(moments), (pl.col("bucket") == bucket) & pl.col("product_id").is_not_null()
    baskets = (
        silver.scan("silver.transactions")
        .filter(mine, pl.col("timestamp") < end, pl.col("refund_flag").fill_null(0) == 0)
        .group_by(*PAIR, "timestamp")
        .agg(units=pl.col("quantity").sum())
        .with_columns(baskets=pl.lit(1, pl.Int64))
    )
    kind = pl.col("event_type")
    seen = (
        silver.scan("silver.events")
        .filter(mine, pl.col("timestamp") < end, kind.is_in(["view", "add_to_cart"]))
        .select(*PAIR, "timestamp", viewed=kind == "view", carted=kind == "add_to_cart")
    )
    steps = pl.concat([baskets, seen], how="diagonal").collect(engine="streaming")
    return pl.concat(_rows(steps, moment) for moment in moments)


def _rows(steps: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    age_days = (pl.lit(as_of) - pl.col("timestamp")) / pl.lit(DAY)
    found = steps.lazy().filter(pl.col("timestamp") < as_of).group_by(PAIR)
    rows = found.agg(
        purchase_count=pl.col("baskets").sum(),
        units=pl.col("units").sum(),
        last=pl.col("timestamp").max(),
        recency_weight=(pl.col("baskets") * 0.5 ** (age_days / HALF_LIFE_DAYS)).sum(),
        view_count=pl.col("viewed").sum().cast(pl.Int64),
        add_to_cart_count=pl.col("carted").sum().cast(pl.Int64),
    )
    recency_days = (pl.lit(as_of) - pl.col("last")) / pl.lit(DAY)
    rows = rows.with_columns(as_of=pl.lit(as_of), recency_days=recency_days)
    return rows.select(COLUMNS).sort(PAIR).collect(engine="streaming")
