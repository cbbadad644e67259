"""`gold.product_features`: one row per product and as_of, for products launched or sold by then."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.history import DAY, Silver

TABLE = "gold.product_features"
SPAN = timedelta(days=28)


def as_ofs(clock: datetime) -> list[datetime]:
    """The data's clock and four weeks before it."""
    return [clock, clock - SPAN]


def product_features(silver: Silver, moments: Sequence[datetime]) -> pl.DataFrame:
    """The table's rows for the given as_ofs.

    Only sales with a price count, refunds do not. `units`, `revenue`, `avg_discount` and `avg_price` are of the last
    28 days; `avg_price` falls back to all sales and is null where there are none. `min_price` and `max_price` are the
    lowest and the highest weekly mean price per unit so far: the observed range.
    """
    sales = (
        silver.scan("silver.transactions")
        .filter(pl.col("refund_flag").fill_null(0) == 0, pl.col("gross_revenue").is_not_null())
        .select("product_id", "customer_id", "timestamp", "quantity", "gross_revenue", "discount_applied")
        .collect()
    )
    products = silver.scan("silver.products").collect()
    return pl.concat(_rows(sales, products, moment) for moment in moments)


def _rows(sales: pl.DataFrame, products: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    past = sales.lazy().filter(pl.col("timestamp") < as_of)
    recent = pl.col("timestamp") >= as_of - SPAN
    totals = past.group_by("product_id").agg(
        units=pl.col("quantity").filter(recent).sum(),
        revenue=pl.col("gross_revenue").filter(recent).sum(),
        avg_discount=pl.col("discount_applied").filter(recent).mean(),
        units_total=pl.col("quantity").sum(),
        revenue_total=pl.col("gross_revenue").sum(),
        buyer_count=pl.col("customer_id").n_unique().cast(pl.Int64),
        last_sold=pl.col("timestamp").max(),
    )
    weeks = (
        past.group_by("product_id", week=pl.col("timestamp").dt.truncate("1w"))
        .agg(pl.col("gross_revenue").sum().cast(pl.Float64) / pl.col("quantity").sum())
        .group_by("product_id")
        .agg(
            min_price=pl.col("gross_revenue").filter(pl.col("gross_revenue") > 0).min(),
            max_price=pl.col("gross_revenue").filter(pl.col("gross_revenue") > 0).max(),
            weeks_sold=pl.len().cast(pl.Int64),
        )
    )
    money = [pl.col(name).fill_null(0).cast(pl.Decimal(18, 2)) for name in ("revenue", "revenue_total")]
    counts = [pl.col(name).fill_null(0) for name in ("units", "units_total", "weeks_sold", "buyer_count")]
    return (
        products.lazy()
        .join(totals, on="product_id", how="left")
        .join(weeks, on="product_id", how="left")
        .filter(pl.col("last_sold").is_not_null() | (pl.col("launch_date") < as_of).fill_null(True))
        .with_columns(*money, *counts, pl.lit(as_of).alias("as_of"))
        .select(
            "product_id",
            "as_of",
            pl.coalesce(_price("revenue", "units"), _price("revenue_total", "units_total")).alias("avg_price"),
            "units",
            "revenue",
            "avg_discount",
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


def _price(revenue: str, units: str) -> pl.Expr:
    paid = pl.col(revenue).cast(pl.Float64)
    return pl.when(paid > 0, pl.col(units) > 0).then(paid / pl.col(units))
