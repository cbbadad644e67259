"""Builds a recommender's catalogue: eligible products and the rest, popularity overall and by country, sales' lift."""

from datetime import date
from typing import Any

import numpy as np
import polars as pl

from training.catalogue import ALWAYS, Catalogue

Array = np.ndarray[Any, Any]
PRODUCTS = 10_000
"""As many products are eligible, the most bought ones, and more only if they had `BUYERS` buyers."""
BUYERS = 20
MAX_PRODUCTS = 30_000
MAX_REST = 100_000
MAX_COUNTRIES = 50
SOLD_WITHIN_DAYS = 90.0
COUNTRY_PRIOR = 200.0
"""A country's popularity starts from that many purchases shared out as everywhere."""
LIFT_PRIOR = 10.0
"""A product's lift starts from that many purchases of which as many are recent as of all products'."""


def eligible(interactions: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The products that may be recommended, by id, with `buyers`, `popularity`, and what chose them.

    Eligible is what was sold lately, of a large catalogue the products with the most buyers.
    """
    products = (
        interactions.filter(pl.col("purchase_count") > 0)
        .group_by("product_id")
        .agg(
            buyers=pl.len(),
            popularity=pl.col("recency_weight").sum(),
            last_sold_days=pl.col("recency_days").min(),
        )
    )
    sold = products.filter(pl.col("last_sold_days") <= SOLD_WITHIN_DAYS)
    count = min(max(PRODUCTS, sold.filter(pl.col("buyers") >= BUYERS).height), MAX_PRODUCTS)
    kept = sold.sort("buyers", "product_id", descending=[True, False]).head(count).sort("product_id")
    fewest = kept.select(pl.col("buyers").min().fill_null(0)).item()
    return kept, {"catalogue_size": kept.height, "min_buyers": fewest, "sold_within_days": SOLD_WITHIN_DAYS}


def catalogue(
    interactions: pl.DataFrame,
    kept: pl.DataFrame,
    *,
    products: pl.DataFrame,
    customers: pl.DataFrame,
    popularity: str = "popularity",
) -> Catalogue:
    """The catalogue with the products of `kept` as the eligible ones, `popularity` a column of it.

    `products` has product_id, category and launch_date of all that is known, `customers` customer_id and country.
    """
    names = products["category"].drop_nulls().unique().sort()
    place = pl.DataFrame({"category": names, "place": np.arange(len(names), dtype=np.int32)})
    known = products.join(place, on="category", how="left", maintain_order="left").select(
        "product_id",
        category=pl.col("place").fill_null(-1),
        launch_day=(pl.col("launch_date") - pl.lit(date(1970, 1, 1))).dt.total_days().cast(pl.Int32).fill_null(ALWAYS),
    )
    unknown = {"category": pl.col("category").fill_null(-1), "launch_day": pl.col("launch_day").fill_null(ALWAYS)}
    own = kept.join(known, on="product_id", how="left", maintain_order="left").with_columns(**unknown)
    rest = _rest(interactions, known, kept).with_columns(**unknown)
    countries, by_country = _by_country(interactions, own, customers)
    return Catalogue(
        product_ids=own["product_id"].to_numpy().astype(np.int64),
        popularity=own[popularity].to_numpy().astype(np.float32),
        category=own["category"].to_numpy(),
        launch_day=own["launch_day"].to_numpy(),
        category_names=np.array(names.to_list(), dtype=np.str_),
        country_names=np.array(countries, dtype=np.str_),
        country_popularity=by_country,
        rest_ids=rest["product_id"].to_numpy().astype(np.int64),
        rest_category=rest["category"].to_numpy(),
        rest_launch_day=rest["launch_day"].to_numpy(),
    )


def lift(kept: pl.DataFrame, recent: pl.DataFrame) -> Array:
    """For each eligible product how its latest sales compare with all of its sales, 1 where as for all products.

    `recent` has product_id, `recent`, the purchases weighted by a half-life of two weeks, and `total`, all of them.
    """
    counted = kept.select("product_id").join(recent, on="product_id", how="left", maintain_order="left").fill_null(0)
    latest, total = (counted[name].to_numpy().astype(np.float64) for name in ("recent", "total"))
    usual = max(latest.sum(), 1e-9) / max(total.sum(), 1e-9)
    found: Array = (latest + LIFT_PRIOR * usual) / (total + LIFT_PRIOR) / usual
    return found.astype(np.float32)


def _rest(interactions: pl.DataFrame, known: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    sales = interactions.group_by("product_id").agg(popularity=pl.col("recency_weight").sum())
    every = known.join(sales, on="product_id", how="full", coalesce=True).join(kept, on="product_id", how="anti")
    ordered = every.with_columns(pl.col("popularity").fill_null(0.0))
    return ordered.sort("popularity", "product_id", descending=[True, False]).head(MAX_REST)


def _by_country(interactions: pl.DataFrame, own: pl.DataFrame, customers: pl.DataFrame) -> tuple[list[str], Array]:
    located = customers.filter(pl.col("country").is_not_null())
    largest = located.group_by("country").len().sort("len", "country", descending=[True, False]).head(MAX_COUNTRIES)
    countries = sorted(largest["country"].to_list())
    if len(countries) < 2:  # the country's popularity is everybody's
        return [], np.empty(0, np.float32)
    sold = interactions.join(located, on="customer_id").group_by("country", "product_id")
    counted = sold.agg(pl.col("recency_weight").sum()).join(own.select("product_id"), on="product_id", how="semi")
    row, column = ({key: n for n, key in enumerate(keys)} for keys in (countries, own["product_id"].to_list()))
    share = own["popularity"].to_numpy() / max(float(own["popularity"].to_numpy().sum()), 1e-9)
    popularity = np.tile(COUNTRY_PRIOR * share, (len(countries), 1)).astype(np.float32)
    for country, product, weight in counted.iter_rows():
        if country in row:
            popularity[row[country], column[product]] += weight
    return countries, popularity
