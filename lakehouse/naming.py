"""Which raw rows name a customer, however the id is written, and whether the line could be read or not."""

from collections.abc import Collection

import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.silver.cast import cast

KEY = "customer_id"
NAMING = tuple(table for table, columns in TABLES.items() if KEY in columns)
"""The raw tables whose rows name a customer."""


def number(text: pl.Expr) -> pl.Expr:
    """The customer's id that a text means, as silver reads it: `59540.0` is 59540."""
    return cast(text, TABLES["customers"][KEY])


def in_raw(ids: Collection[int]) -> pl.Expr:
    """Rows of bronze that name one of the customers; of a line that has no values, any field that is the id does."""
    text, listed = pl.col(KEY), list(ids)
    odd = number(text).is_null() & text.str.contains(field(listed))
    return surely(number(text).is_in(listed)) | surely(odd) | surely(pl.col("raw").str.contains(field(listed)))


def surely(condition: pl.Expr) -> pl.Expr:
    """The condition, and no where it is unknown."""
    return condition.fill_null(False)


def field(ids: Collection[int]) -> str:
    """A whole field of a line, quoted or not, that is one of the ids."""
    return rf'(?:^|[,;\t"])\s*0*(?:{"|".join(map(str, ids))})(?:\.0*)?\s*(?:$|[,;\t"])'
