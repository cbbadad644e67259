"""`gold.customer_features`: one row per customer and as_of, for those who had signed up or done anything by then."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.history import DAY, History

TABLE = "gold.customer_features"
STEP = timedelta(days=30)
STEPS = 24
SPANS = (30, 90, 180)
PRIOR_RESPONSES, PRIOR_EXPOSURES = 1.0, 10.0
"""The smoothed response rate starts at one response in ten exposures."""


def as_ofs(history: History) -> list[datetime]:
    """The data's clock and every 30 days back from it, 24 times or as far as there is data."""
    moments = [history.clock - STEP * step for step in range(STEPS + 1)]
    return [moment for moment in moments if moment > history.first]


def customer_features(history: History, moments: Sequence[datetime]) -> pl.DataFrame:
    """The table's rows for the given as_ofs."""
    return pl.concat(_rows(history, moment) for moment in moments)


def _rows(history: History, as_of: datetime) -> pl.DataFrame:
    keys = history.customers.select("customer_id", "signup_date")
    active = history.moments.filter(pl.col("timestamp") < as_of).select("customer_id").unique()
    everybody = keys.join(active.with_columns(active=True), on="customer_id", how="full", coalesce=True)
    known = everybody.filter(pl.col("active") | (pl.col("signup_date") < as_of))
    return features_at(history, known.select("customer_id", pl.lit(as_of).alias("as_of")))


def features_at(history: History, keys: pl.DataFrame) -> pl.DataFrame:
    """The features of each (customer_id, as_of) of `keys`, from rows with `timestamp < as_of` alone.

    Counts and money are 0 where nothing happened; means, shares and times since are null where there is nothing to
    measure. `monetary` and `spend_*d` are net of refunds; `tx_count` counts orders, not lines, and no refunds.
    """
    before = keys.join(history.moments, on="customer_id").filter(pl.col("timestamp") < pl.col("as_of"))
    ordered = pl.col("orders") > 0

    def within(days: int) -> pl.Expr:
        return pl.col("timestamp") >= pl.col("as_of") - timedelta(days=days)

    sums = before.group_by("customer_id", "as_of").agg(
        last_order=pl.col("timestamp").filter(ordered).max(),
        first_order=pl.col("timestamp").filter(ordered).min(),
        **{name: pl.col(name).sum() for name in before.columns if name not in ("customer_id", "as_of", "timestamp")},
        **{f"spend_{days}d": pl.col("revenue").filter(within(days)).sum() for days in SPANS},
        **{f"tx_count_{days}d": pl.col("orders").filter(within(days)).sum() for days in SPANS},
    )
    rows = (
        keys.join(sums, on=["customer_id", "as_of"], how="left")
        .join(_past_exposures(history, keys), on=["customer_id", "as_of"], how="left")
        .join(history.customers, on="customer_id", how="left")
    )
    return rows.select(
        "customer_id",
        "as_of",
        _days_since("last_order").alias("recency_days"),
        _count("orders").alias("tx_count"),
        _money("revenue").alias("monetary"),
        _share("discount", "discount_lines").alias("avg_discount"),
        _share("quantity", "lines").alias("avg_quantity"),
        _share("premium", "premium_lines").alias("premium_tx_share"),
        *(
            _count(f"{name}_events").alias(f"events_{name}_count")
            for name in ("view", "click", "add_to_cart", "purchase")
        ),
        _share("duration", "durations").alias("avg_session_duration_sec"),
        "age",
        "is_male",
        "loyalty_level",
        _days_since("first_order").alias("tenure_days"),
        _days_since(pl.col("signup_date").cast(pl.Datetime("us"))).clip(lower_bound=0).alias("signup_days"),
        *(_money(f"spend_{days}d") for days in SPANS),
        *(_count(f"tx_count_{days}d") for days in SPANS),
        _share((pl.col("last_order") - pl.col("first_order")).dt.total_seconds() / 86_400, pl.col("orders") - 1).alias(
            "mean_gap_days"
        ),
        _count("categories").alias("category_count"),
        _count("products").alias("product_count"),
        _share("refunds", pl.col("refunds") + pl.col("lines")).alias("refund_share"),
        _count("exposure_count"),
        _count("response_count"),
        ((_count("response_count") + PRIOR_RESPONSES) / (_count("exposure_count") + PRIOR_EXPOSURES)).alias(
            "response_rate"
        ),
        _days_since("last_exposure").alias("days_since_exposure"),
        "country",
        "acquisition_channel",
    ).sort("as_of", "customer_id")


def _past_exposures(history: History, keys: pl.DataFrame) -> pl.DataFrame:
    """Exposures whose outcome was known by then, their responses, and the last exposure of all."""
    past = keys.join(
        history.exposures.select("customer_id", "window_end", "responded", exposed_at="as_of"), on="customer_id"
    ).filter(pl.col("exposed_at") < pl.col("as_of"))
    known = pl.col("window_end") <= pl.col("as_of")
    return past.group_by("customer_id", "as_of").agg(
        exposure_count=known.sum().cast(pl.Int64),
        response_count=pl.col("responded").filter(known).sum(),
        last_exposure=pl.col("exposed_at").max(),
    )


def _count(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0)


def _money(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0).cast(pl.Decimal(18, 2))


def _share(part: str | pl.Expr, whole: str | pl.Expr) -> pl.Expr:
    total = pl.col(whole) if isinstance(whole, str) else whole
    piece = pl.col(part) if isinstance(part, str) else part
    return pl.when(total > 0).then(piece / total).cast(pl.Float64)


def _days_since(moment: str | pl.Expr) -> pl.Expr:
    then = pl.col(moment) if isinstance(moment, str) else moment
    return (pl.col("as_of") - then) / pl.lit(DAY)
