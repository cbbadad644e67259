"""Which rows of a table name a customer: raw or typed, good or rejected, and what was predicted of them."""

from collections.abc import Callable, Sequence

import polars as pl

from lakehouse.gold import product_features
from lakehouse.ingest import LINEAGE
from lakehouse.naming import KEY, NAMING, CustomerId, field, in_raw, number, surely
from lakehouse.predictions import PREDICTIONS
from lakehouse.silver.split import QUARANTINE

MINE = "_names_the_customer"
Mark = Callable[[pl.LazyFrame], pl.LazyFrame]
"""Adds the column `MINE`: whether a row names the customer."""


def marks(columns: Sequence[str], table: str, customer_id: CustomerId, rejected: pl.DataFrame) -> Mark | None:
    """How to tell the customer's rows in a table with these columns; None where it names no customer.

    `rejected` holds table and lineage of the customer's rows in bronze: all that quarantine says of a superseded one.
    """
    if table == QUARANTINE:
        return _in_quarantine(customer_id, rejected)
    if table == PREDICTIONS:
        of_customers, asked = pl.col("feature_table").ne_missing(product_features.TABLE), pl.col("entity_id")
        named = number(asked) == customer_id if isinstance(customer_id, int) else asked.str.strip_chars() == customer_id
        return _marked(of_customers & surely(named))
    if KEY not in columns:
        return None
    if table.startswith("bronze."):
        return _marked(in_raw([customer_id]))
    if not isinstance(customer_id, int):
        return None  # what is typed has whole numbers
    return _marked(surely(pl.col(KEY).cast(pl.String).pipe(number) == customer_id))


def _marked(names: pl.Expr) -> Mark:
    return lambda rows: rows.with_columns(names.alias(MINE))


def _in_quarantine(customer_id: CustomerId, rejected: pl.DataFrame) -> Mark:
    raw = pl.col("raw")
    said = raw.str.extract(rf'"{KEY}":"([^"]*)"')
    as_json = raw.str.contains(f'"{KEY}":', literal=True)
    odd = number(said).is_null() & said.str.contains(field([customer_id]))
    named = surely(odd) | surely(~as_json & raw.str.contains(field([customer_id])))
    keyed = pl.lit(False)
    if isinstance(customer_id, int):
        named |= surely(number(said) == customer_id)
        keyed = (pl.col("table") == "customers") & surely(pl.col("key") == customer_id)
    place = ["table", *LINEAGE]
    listed = rejected.lazy().select(place).unique().with_columns(_listed=pl.lit(True))

    def mark(rows: pl.LazyFrame) -> pl.LazyFrame:
        joined = rows.join(listed, on=place, how="left", maintain_order="left")
        mine = (pl.col("table").is_in(NAMING) & (named | keyed)) | pl.col("_listed").fill_null(False)
        return joined.with_columns(mine.alias(MINE)).drop("_listed")

    return mark
