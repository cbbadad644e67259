"""`gold.product_features`: one row per product and as_of, for products launched or sold by then."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import polars as pl

from lakehouse.gold.history import DAY, Silver

TABLE = "gold.product_features"
SPAN = timedelta(days=28)
ROWS_AT_ONCE = 2_000_000
"""As many weeks of products are kept before they are added up."""
Sales = tuple[pl.DataFrame, pl.DataFrame]
"""What was sold by product, and by week too, before a moment; sums of some buckets can be added to those of others."""


def product_features(
    silver: Silver,
    moments: Sequence[datetime],
    *,
    run: Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]] = map,
) -> pl.DataFrame:
    """The table's rows for the given as_ofs; `run` maps over the buckets of customers, like `map`.

    Only sales with a price count, refunds do not. `units`, `revenue`, `avg_discount` and `avg_price` are of the last
    28 days; `avg_price` falls back to all sales and is null where there are none. `min_price` and `max_price` are the
    lowest and the highest weekly mean price per unit so far: the observed range.
    """
    parts: list[list[Sales]] = []
    for part in run(partial(bucket_sales, silver, tuple(moments)), range(silver.buckets)):
        parts.append(part)
        if sum(weeks.height for part in parts for _, weeks in part) > ROWS_AT_ONCE:
            parts = [_added(parts)]
    products = silver.scan("silver.products").collect()
    found = [_rows(*sales, products, moment) for sales, moment in zip(_added(parts), moments, strict=True)]
    return pl.concat(found).sort("as_of", "product_id")


def bucket_sales(silver: Silver, moments: Sequence[datetime], bucket: int) -> list[Sales]:
    """A bucket's sales before each moment; a customer is in one bucket, so that even `buyer_count` can be added."""
    sales = (
        silver.scan("silver.transactions")
        .filter(pl.col("bucket") == bucket, pl.col("timestamp") < max(moments))
        .filter(pl.col("refund_flag").fill_null(0) == 0, pl.col("gross_revenue").is_not_null())
        .select("product_id", "customer_id", "timestamp", "quantity", "gross_revenue", "discount_applied")
        .collect(engine="streaming")
    )
    return [_sales(sales, moment) for moment in moments]


def _sales(sales: pl.DataFrame, as_of: datetime) -> Sales:
    past = sales.lazy().filter(pl.col("timestamp") < as_of)
    recent = pl.col("timestamp") >= as_of - SPAN
    discounts = pl.col("discount_applied").filter(recent)
    totals = past.group_by("product_id").agg(
        units=pl.col("quantity").filter(recent).sum(),
        revenue=pl.col("gross_revenue").filter(recent).sum(),
        discount=discounts.sum(),
        discounts=discounts.count().cast(pl.Int64),
        last_sold=pl.col("timestamp").max(),
    )
    buyers = past.select("product_id", "customer_id").unique().group_by("product_id")
    totals = totals.join(buyers.agg(buyer_count=pl.len().cast(pl.Int64)), on="product_id")
    weeks = past.group_by("product_id", week=pl.col("timestamp").dt.truncate("1w")).agg(
        units_total=pl.col("quantity").sum(), revenue_total=pl.col("gross_revenue").sum()
    )
    found_totals, found_weeks = pl.collect_all([totals, weeks], engine="streaming")
    return found_totals, found_weeks


def _added(parts: Sequence[Sequence[Sales]]) -> list[Sales]:
    """For each moment what all parts have together."""
    added = []
    for of_moment in zip(*parts, strict=True):
        totals, weeks = (pl.concat(frames).lazy() for frames in zip(*of_moment, strict=True))
        found = totals.group_by("product_id").agg(pl.exclude("last_sold").sum(), pl.col("last_sold").max())
        summed = weeks.group_by("product_id", "week").agg(pl.all().sum())
        added.append((found.collect(engine="streaming"), summed.collect(engine="streaming")))
    return added


def _rows(totals: pl.DataFrame, weeks: pl.DataFrame, products: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    price = (pl.col("revenue_total").cast(pl.Float64) / pl.col("units_total")).alias("price")
    positive = price.filter(price > 0)
    by_product = (
        weeks.lazy()
        .group_by("product_id")
        .agg(
            pl.col("units_total", "revenue_total").sum(),
            min_price=positive.min(),
            max_price=positive.max(),
            weeks_sold=pl.len().cast(pl.Int64),
        )
    )
    money = [pl.col(name).fill_null(0).cast(pl.Decimal(18, 2)) for name in ("revenue", "revenue_total")]
    counts = [pl.col(name).fill_null(0) for name in ("units", "units_total", "weeks_sold", "buyer_count")]
    return (
        products.lazy()
        .with_columns(as_of=pl.lit(as_of))
        .join(totals.lazy(), on="product_id", how="left")
        .join(by_product, on="product_id", how="left")
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
        .collect()
    )


def _price(revenue: str, units: str) -> pl.Expr:
    paid = pl.col(revenue).cast(pl.Float64)
    return pl.when(paid > 0, pl.col(units) > 0).then(paid / pl.col(units))
