"""`gold.product_features`: one row per product and as_of, for products launched or sold by then."""

from datetime import datetime

import polars as pl

from lakehouse.gold.months import DAY
from lakehouse.gold.product_weeks import week_start

TABLE = "gold.product_features"


def product_features(
    weeks: pl.DataFrame, latest: pl.DataFrame, products: pl.DataFrame, as_of: datetime
) -> pl.DataFrame:
    """The table's rows for an as_of, from all weeks of `gold.product_weeks` before its own, and the `latest` sales.

    `units`, `revenue`, `avg_discount` and `avg_price` are of the last 28 days; `avg_price` falls back to all sales and
    is null where there are none. `min_price` and `max_price` are the lowest and the highest weekly mean price per unit
    so far: the observed range.
    """
    names = ("units", "revenue", "new_buyers", "last_sold")
    week = latest.lazy().filter(pl.col("week_last_sold").is_not_null()).select("product_id", **_of_week(names))
    earlier = weeks.lazy().filter(pl.col("week") < week_start(as_of).date()).select("product_id", *names)
    price = pl.col("revenue").cast(pl.Float64) / pl.col("units")
    positive = price.filter(price > 0)
    so_far = (
        pl.concat([earlier, week], how="vertical_relaxed")
        .group_by("product_id")
        .agg(
            units_total=pl.col("units").sum(),
            revenue_total=pl.col("revenue").sum(),
            min_price=positive.min(),
            max_price=positive.max(),
            weeks_sold=pl.len().cast(pl.Int64),
            buyer_count=pl.col("new_buyers").sum(),
            last_sold=pl.col("last_sold").max(),
        )
    )
    recent = latest.lazy().select("product_id", "units", "revenue", "discount", "discounts")
    money = [pl.col(name).fill_null(0).cast(pl.Decimal(18, 2)) for name in ("revenue", "revenue_total")]
    counts = [pl.col(name).fill_null(0) for name in ("units", "units_total", "weeks_sold", "buyer_count")]
    return (
        products.lazy()
        .with_columns(as_of=pl.lit(as_of))
        .join(recent, on="product_id", how="left")
        .join(so_far, on="product_id", how="left")
        .filter(pl.col("last_sold").is_not_null() | (pl.col("launch_date") < pl.col("as_of")).fill_null(True))
        .with_columns(*money, *counts)
        .select(
            "product_id",
            "as_of",
            pl.coalesce(_price("revenue", "units"), _price("revenue_total", "units_total")).alias("avg_price"),
            "units",
            "revenue",
            pl.when(pl.col("discounts") > 0).then(pl.col("discount") / pl.col("discounts")).alias("avg_discount"),
            pl.col("is_premium").cast(pl.Float64).alias("premium_share"),
            "base_price",
            "is_premium",
            "category",
            "brand",
            "units_total",
            "revenue_total",
            "min_price",
            "max_price",
            "weeks_sold",
            "buyer_count",
            ((pl.col("as_of") - pl.col("last_sold")) / pl.lit(DAY)).alias("last_sold_days"),
            ((pl.col("as_of") - pl.col("launch_date").cast(pl.Datetime("us"))) / pl.lit(DAY)).alias("launch_days"),
        )
        .sort("product_id")
        .collect()
    )


def _of_week(names: tuple[str, ...]) -> dict[str, pl.Expr]:
    return {name: pl.col(f"week_{name}") for name in names}


def _price(revenue: str, units: str) -> pl.Expr:
    paid = pl.col(revenue).cast(pl.Float64)
    return pl.when(paid > 0, pl.col(units) > 0).then(paid / pl.col(units))
