"""The panel of prices: on which weekday its weeks begin, and how much the shop sold besides."""

from datetime import timedelta

import polars as pl

MONDAY_ON = range(7)
PRODUCTS = 200
"""How many of the products that sell most often are looked at."""


def first_day(transactions: pl.LazyFrame) -> int:
    """The weekday on which prices change, in days after Monday: there prices differ least within weeks.

    Judged by the first third of the sales' time; Monday where all days do as well.
    """
    span = transactions.select(first=pl.col("timestamp").min(), last=pl.col("timestamp").max()).collect()
    first, last = span.row(0)
    if first is None:
        return 0
    sold = transactions.filter(
        pl.col("timestamp") < first + (last - first) / 3, pl.col("gross_revenue") > 0, pl.col("quantity") > 0
    ).select("product_id", "timestamp", price=(pl.col("gross_revenue").cast(pl.Float64) / pl.col("quantity")).log())
    popular = sold.group_by("product_id").len().sort("len", "product_id", descending=[True, False]).head(PRODUCTS)
    lines = sold.join(popular.select("product_id"), on="product_id", how="semi").collect()
    apart = []
    for day in MONDAY_ON:
        week = (pl.col("timestamp") - timedelta(days=day)).dt.truncate("1w")
        spread = ((pl.col("price") - pl.col("price").mean()) ** 2).sum()
        apart.append(lines.group_by("product_id", week).agg(spread=spread)["spread"].sum())
    least = float(min(apart))
    return next(day for day in MONDAY_ON if apart[day] <= least * 1.001 + 1e-9)


def with_traffic(weeks: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """`weeks` with `traffic` in place of other_orders: its log, less that of an ordinary week among `known`.

    What Poisson noise would make of it is not believed: in a small shop, traffic is near 0.
    """
    others = known.group_by("week").agg(pl.col("other_orders").max().clip(lower_bound=1))
    logs = others["other_orders"].log()
    moved = float(logs.var() or 0.0)  # type: ignore[arg-type]  # a mean of numbers is typed as of anything
    noise = float((1 / others["other_orders"]).mean() or 0.0)  # type: ignore[arg-type]  # as above
    believed = max(0.0, 1 - noise / moved) if moved > 0 else 0.0
    log = pl.col("other_orders").clip(lower_bound=1).log()
    return weeks.with_columns(traffic=believed * (log - logs.mean())).drop("other_orders")
