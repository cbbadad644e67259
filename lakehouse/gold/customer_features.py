"""`gold.customer_features`: one row per customer and as_of, for those who had signed up or done anything by then."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.history import DAY, EVENT_TYPES, KEY, History, before, month_starts

TABLE = "gold.customer_features"
STEP = timedelta(days=30)
STEPS = 24
SPANS = (30, 90, 180)
PRIOR_RESPONSES, PRIOR_EXPOSURES = 1.0, 10.0
"""The smoothed response rate starts at one response in ten exposures."""


def as_ofs(first: datetime, clock: datetime) -> list[datetime]:
    """The moments of every build: the data's clock, and the first of each month for analysts."""
    return sorted({clock, *month_starts(first, clock)})


def label_as_ofs(first: datetime, clock: datetime) -> list[datetime]:
    """The moments that labels need: the clock and every 30 days back from it, as far as there is data."""
    moments = [clock - STEP * step for step in range(STEPS + 1)]
    return sorted(moment for moment in moments if moment > first)


def customer_features(history: History, moments: Sequence[datetime]) -> pl.DataFrame:
    """A bucket's rows for the given as_ofs, computed together."""
    customers = pl.concat(
        [history.attributes["customer_id"], history.orders["customer_id"], history.events["customer_id"]]
    )
    keys = pl.DataFrame({"as_of": sorted(moments)}, schema={"as_of": pl.Datetime("us")}).join(
        pl.DataFrame({"customer_id": customers.unique().sort()}), how="cross", maintain_order="left_right"
    )
    return features_at(history, keys.select(KEY), known_only=True)


def features_at(history: History, keys: pl.DataFrame, *, known_only: bool = False) -> pl.DataFrame:
    """The features of each (customer_id, as_of) of `keys`, from rows with `timestamp < as_of` alone.

    Counts and money are 0 where nothing happened; means, shares and times since are null where there is nothing to
    measure. `monetary` and `spend_*d` are net of refunds; `tx_count` counts orders, not lines, and no refunds.
    With `known_only`, keys of customers who had neither signed up nor done anything are left out.
    """
    keys = keys.unique().sort("as_of", "customer_id")
    rows = pl.concat(
        [
            _orders(history, keys),
            _windows(history, keys).drop(KEY),
            _events(history, keys).drop(KEY),
            _responses(history, keys).drop(KEY),
        ],
        how="horizontal",
    )
    told = keys.join_asof(
        history.attributes,
        left_on="as_of",
        right_on="valid_from",
        by="customer_id",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    rows = rows.join(told, on=KEY, how="left", maintain_order="left")
    if known_only:
        active = pl.col("last_line").is_not_null() | pl.col("last_event").is_not_null()
        rows = rows.filter(active | (pl.col("signup_date") < pl.col("as_of")).fill_null(False))
    return _features(rows).sort("as_of", "customer_id")


def _orders(history: History, keys: pl.DataFrame) -> pl.DataFrame:
    ordered = pl.col("timestamp").filter(pl.col("orders") > 0)
    names = [name for name in history.orders.columns if name not in ("customer_id", "timestamp")]
    return before(
        keys,
        history.orders,
        sums={name: pl.col(name) for name in names},
        first={"first_order": ordered},
        last={"last_order": ordered, "last_line": pl.col("timestamp")},
    )


def _windows(history: History, keys: pl.DataFrame) -> pl.DataFrame:
    """Spend and orders of the last days: what there was by then, less what there was at the window's start."""
    sums = {"spend": pl.col("revenue"), "count": pl.col("orders")}
    starts = pl.concat([keys] + [keys.with_columns(pl.col("as_of") - timedelta(days=days)) for days in SPANS])
    totals = before(starts.unique().sort("as_of"), history.orders, sums=sums)
    rows = keys.lazy().join(totals.lazy(), on=KEY, how="left")
    for days in SPANS:
        start = totals.lazy().select(
            "customer_id", pl.col("as_of") + timedelta(days=days), pl.col(*sums).name.suffix("_0")
        )
        rows = rows.join(start, on=KEY, how="left").with_columns(
            (pl.col("spend") - pl.col("spend_0")).alias(f"spend_{days}d"),
            (pl.col("count") - pl.col("count_0")).alias(f"tx_count_{days}d"),
        )
        rows = rows.drop("spend_0", "count_0")
    return rows.drop(*sums).sort(KEY).collect()


def _events(history: History, keys: pl.DataFrame) -> pl.DataFrame:
    sums = {f"{name}_events": (pl.col("event_type") == name).cast(pl.Int64) for name in EVENT_TYPES}
    sums |= {"duration": pl.col("duration"), "durations": pl.col("duration").is_not_null().cast(pl.Int64)}
    return before(keys, history.events, sums=sums, last={"last_event": pl.col("timestamp")})


def _responses(history: History, keys: pl.DataFrame) -> pl.DataFrame:
    """Exposures whose outcome was known by then, their responses, and the last exposure of all."""
    known_at = pl.max_horizontal(pl.col("window_end") - timedelta(microseconds=1), "as_of")
    known = history.exposures.select("customer_id", "responded", timestamp=known_at).sort("timestamp")
    reached = history.exposures.select("customer_id", timestamp="as_of").sort("timestamp")
    counts = before(
        keys,
        known,
        sums={
            "exposure_count": pl.col("timestamp").is_not_null().cast(pl.Int64),
            "response_count": pl.col("responded"),
        },
    )
    last = before(keys, reached, sums={}, last={"last_exposure": pl.col("timestamp")})
    return counts.with_columns(last["last_exposure"])


def _features(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        "customer_id",
        "as_of",
        _days_since("last_order").alias("recency_days"),
        pl.col("orders").alias("tx_count"),
        _money("revenue").alias("monetary"),
        _share("discount", "discount_lines").alias("avg_discount"),
        _share("quantity", "lines").alias("avg_quantity"),
        _share("premium", "premium_lines").alias("premium_tx_share"),
        *(pl.col(f"{name}_events").alias(f"events_{name}_count") for name in EVENT_TYPES),
        _share("duration", "durations").alias("avg_session_duration_sec"),
        "age",
        "is_male",
        "loyalty_level",
        _days_since("first_order").alias("tenure_days"),
        _days_since(pl.col("signup_date").cast(pl.Datetime("us"))).clip(lower_bound=0).alias("signup_days"),
        *(_money(f"spend_{days}d") for days in SPANS),
        *(f"tx_count_{days}d" for days in SPANS),
        _share((pl.col("last_order") - pl.col("first_order")).dt.total_seconds() / 86_400, pl.col("orders") - 1).alias(
            "mean_gap_days"
        ),
        pl.col("categories").alias("category_count"),
        pl.col("products").alias("product_count"),
        _share("refunds", pl.col("refunds") + pl.col("lines")).alias("refund_share"),
        "exposure_count",
        "response_count",
        ((pl.col("response_count") + PRIOR_RESPONSES) / (pl.col("exposure_count") + PRIOR_EXPOSURES)).alias(
            "response_rate"
        ),
        _days_since("last_exposure").alias("days_since_exposure"),
        "country",
        "acquisition_channel",
    )


def _money(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Decimal(18, 2))


def _share(part: str | pl.Expr, whole: str | pl.Expr) -> pl.Expr:
    total = pl.col(whole) if isinstance(whole, str) else whole
    piece = pl.col(part) if isinstance(part, str) else part
    return pl.when(total > 0).then(piece / total).cast(pl.Float64)


def _days_since(moment: str | pl.Expr) -> pl.Expr:
    then = pl.col(moment) if isinstance(moment, str) else moment
    return (pl.col("as_of") - then) / pl.lit(DAY)
