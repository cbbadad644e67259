"""What recommenders are trained and tested on: histories before a cutoff, and what came next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from lakehouse.gold.changes import built_clock
from lakehouse.gold.interactions import PAIR, interactions_before
from lakehouse.storage import Lake
from training import columns
from training.recommend_request import CART_VIEWS, GOLD, HISTORY, History
from training.use_case import Columns

Array = np.ndarray[Any, Any]
SALES, PRODUCTS, CUSTOMERS = "silver.transactions", "silver.products", "silver.customers"
TABLES = (GOLD, SALES, PRODUCTS, CUSTOMERS)
HORIZON = timedelta(days=28)
RECENT_DAYS = 14.0
INTEREST = pl.col("view_count") + CART_VIEWS * pl.col("add_to_cart_count")


@dataclass(frozen=True, kw_only=True)
class Past:
    """What was known at `as_of`.

    interactions: one row per customer and product, see `interactions_before`. recent: product_id with its purchases in
    `total` and with those of late, `recent` (half-life 14 days). products, customers: as silver's, what catalogues need
    of them.
    """

    as_of: datetime
    interactions: pl.DataFrame
    recent: pl.DataFrame
    products: pl.DataFrame
    customers: pl.DataFrame


class Reader:
    """Reads the lake's tables at fixed versions; `clock` is the data's when gold was built, None without that."""

    def __init__(self, lake: Lake, versions: Mapping[str, int]) -> None:
        self.clock = built_clock(lake, GOLD, versions[GOLD])
        self._scan = {table: lake.scan(table, versions[table]) for table in TABLES}
        pair = pl.col("product_id").is_not_null()
        baskets = self._scan[SALES].filter(pair, pl.col("refund_flag").fill_null(0) == 0)
        self._baskets = baskets.select(*PAIR, "timestamp").unique()

    def past(self, cutoff: datetime) -> Past:
        """What was known at a cutoff."""
        customers = self._scan[CUSTOMERS].select("customer_id", "country").unique("customer_id")
        products = self._scan[PRODUCTS].select("product_id", "category", "launch_date").unique("product_id")
        return Past(
            as_of=cutoff,
            interactions=interactions_before(self._scan[GOLD], cutoff).sort(PAIR).collect(),
            recent=self._recent(cutoff).collect(),
            products=products.collect().sort("product_id"),
            customers=customers.collect().sort("customer_id"),
        )

    def rows(self, past: Past, *, days: timedelta = HORIZON) -> pl.DataFrame:
        """A test set as the query training_recommender gives it."""
        window = self._baskets.filter(
            pl.col("timestamp") >= past.as_of, pl.col("timestamp") < past.as_of + days
        ).collect()
        known = window.join(past.interactions.select("product_id").unique(), on="product_id", how="semi")
        bought = known.group_by("customer_id").agg(bought=pl.col("product_id").unique().sort()).sort("customer_id")
        return with_histories(bought, past.interactions)

    def _recent(self, cutoff: datetime) -> pl.LazyFrame:
        sold = self._baskets.filter(pl.col("timestamp") < cutoff).group_by("product_id")
        return sold.agg(recent=(0.5 ** (_age(cutoff) / RECENT_DAYS)).sum(), total=pl.len())


def with_histories(bought: pl.DataFrame, interactions: pl.DataFrame) -> pl.DataFrame:
    """One row per customer of `bought`, with the history as lists, empty for new customers."""
    known = interactions.join(bought, on="customer_id", how="semi").sort(PAIR).group_by("customer_id")
    lists = known.agg(**HISTORY)
    joined = bought.join(lists, on="customer_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col(name).fill_null([]) for name in HISTORY)


def history_columns(rows: pl.DataFrame) -> Columns:
    """The model's inputs from rows with the histories as list columns."""
    return {name: columns.object_array([entry.to_numpy() for entry in rows[name]]) for name in HISTORY}


def histories(interactions: pl.DataFrame) -> Sequence[History]:
    """Everybody's history."""
    everybody = interactions.select("customer_id").unique().sort("customer_id")
    inputs = history_columns(with_histories(everybody, interactions))
    return [History.of(inputs, row) for row in range(everybody.height)]


def shuffled_past(past: Past, *, seed: int) -> Past:
    """As many purchases and buyers, but who bought what, and which product sells lately, is drawn by lot."""
    rows = past.interactions
    drawn = np.random.default_rng(seed).permutation(rows.height)
    mixed = rows.with_columns(
        rows["product_id"].gather(drawn), purchase_count=pl.col("purchase_count").clip(upper_bound=1)
    )
    order = np.random.default_rng(seed).permutation(past.recent.height)
    return replace(
        past,
        interactions=mixed.unique(PAIR, keep="first", maintain_order=True).sort(PAIR),
        recent=past.recent.with_columns(past.recent["product_id"].gather(order)),
    )


def _age(cutoff: datetime) -> pl.Expr:
    return (pl.lit(cutoff) - pl.col("timestamp")).dt.total_microseconds() / 86_400_000_000
