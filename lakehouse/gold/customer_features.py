"""`gold.customer_features`: one row per customer and as_of, for those who had signed up or done anything by then."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.before import KEY, Keys, before
from lakehouse.gold.customer_totals import with_exposures
from lakehouse.gold.history import EVENT_TYPES, History
from lakehouse.gold.months import DAY, month_starts

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
    return with_totals(history, moments, [])[0]


def with_totals(
    history: History, moments: Sequence[datetime], carried: Sequence[datetime]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As `customer_features`, and the totals as of the `carried` moments, see `gold.customer_totals`."""
    customers = _customers(history)
    keys, every = (
        Keys.crossed(pl.Series(list(some), dtype=pl.Datetime("us")), customers)
        for some in (moments, {*moments, *carried})
    )
    totals = _totals(history, every)
    active = pl.col("last_line").is_not_null() | pl.col("last_event").is_not_null()
    known = active | (pl.col("signup_date") < pl.col("as_of")).fill_null(False)
    rows = _rows(history, keys, totals.filter(pl.col("as_of").is_in(list(moments))))
    kept = totals.filter(active, pl.col("as_of").is_in(list(carried)))
    return _features(rows.filter(known)), with_exposures(kept, history.exposures, history.base)


def _customers(history: History) -> pl.Series:
    """All that anything is known of; those with attributes are most, and asking for the others beats `unique`."""
    registered = history.attributes["customer_id"].unique()
    told = [history.lines, history.events, *([history.base.totals] if history.base else [])]
    ids = (frame["customer_id"] for frame in told)
    others = [some.filter(~some.is_in(registered.implode())).unique() for some in ids]
    return pl.concat([registered, *others]).unique()


def features_at(history: History, keys: Keys) -> pl.DataFrame:
    """The features of each of `keys`, from rows with `timestamp < as_of` alone.

    Counts and money are 0 where nothing happened; means, shares and times since are null where there is nothing to
    measure. `monetary` and `spend_*d` are net of refunds; `tx_count` counts orders, not lines, and no refunds.
    """
    return _features(_rows(history, keys, _totals(history, keys)))


def _totals(history: History, keys: Keys) -> pl.DataFrame:
    """What has added up by each of the keys, in their order."""
    parts = (part(history, keys).drop(KEY) for part in (_orders, _events, _responses))
    found = pl.concat([keys.frame, *parts], how="horizontal")
    return history.base.joined(found) if history.base else found


def _rows(history: History, keys: Keys, totals: pl.DataFrame) -> pl.DataFrame:
    """What features are made of, in the order of the keys."""
    parts = (part(history, keys).drop(KEY) for part in (_windows, _told))
    return pl.concat([totals, *parts], how="horizontal")


def _orders(history: History, keys: Keys) -> pl.DataFrame:
    sold, ordered = pl.col("sale"), pl.when("new_order").then("timestamp")
    of_sales = {"quantity": pl.col("quantity"), "discount": pl.col("discount_applied"), "premium": pl.col("is_premium")}
    sums: dict[str, pl.Expr] = {name: pl.when(sold).then(value) for name, value in of_sales.items()}
    sums |= {f"{name}_lines": sold & of_sales[name].is_not_null() for name in ("discount", "premium")}
    flags = {"orders": "new_order", "categories": "new_category", "products": "new_product", "lines": "sale"}
    sums |= {name: pl.col(flag) for name, flag in flags.items()}
    sums |= {"refunds": sold.not_(), "revenue": pl.col("gross_revenue")}
    return before(
        keys,
        history.counted(history.lines),
        sums=sums,
        first={"first_order": ordered},
        last={"last_order": ordered, "last_line": pl.col("timestamp")},
    )


def _windows(history: History, keys: Keys) -> pl.DataFrame:
    """Spend and orders of the last days: what there was by then, less what there was at the window's start."""
    sums = {"spend": pl.col("gross_revenue"), "tx_count": pl.col("new_order")}
    then = keys.earlier([timedelta(days=days) for days in (0, *SPANS)])
    first = pl.lit(then.frame["as_of"].min(), pl.Datetime("us"))
    totals = before(then, history.lines.filter(pl.col("timestamp") >= first), sums=sums)
    size = keys.frame.height
    now, *starts = (totals.slice(size * place, size) for place in range(len(SPANS) + 1))
    begun = list(zip(SPANS, starts, strict=True))
    gained = [(now[name] - start[name]).alias(f"{name}_{days}d") for days, start in begun for name in sums]
    return keys.frame.with_columns(gained)


def _events(history: History, keys: Keys) -> pl.DataFrame:
    duration = pl.col("session_duration_sec")
    sums = {f"{name}_events": pl.col(name) for name in EVENT_TYPES}
    sums |= {"duration": duration, "durations": duration.is_not_null()}
    last = {"last_event": pl.col("timestamp")}
    return before(keys, history.counted(history.events), sums=sums, last=last)


def _responses(history: History, keys: Keys) -> pl.DataFrame:
    """Exposures whose outcome was known by then, their responses, and the last exposure of all."""
    known_at = pl.max_horizontal(pl.col("window_end") - timedelta(microseconds=1), "as_of")
    known = history.exposures.select("customer_id", "responded", timestamp=known_at)
    reached = history.exposures.select("customer_id", timestamp="as_of")
    counts = before(
        keys,
        history.counted(known),
        sums={
            "exposure_count": pl.col("timestamp").is_not_null(),
            "response_count": pl.col("responded"),
        },
    )
    last = before(keys, history.counted(reached), sums={}, last={"last_exposure": pl.col("timestamp")})
    return counts.with_columns(last["last_exposure"])


def _told(history: History, keys: Keys) -> pl.DataFrame:
    """The attributes that held at each as_of."""
    return keys.frame.join_asof(
        history.attributes,
        left_on="as_of",
        right_on="valid_from",
        by="customer_id",
        allow_exact_matches=False,
        check_sortedness=False,
    )


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
