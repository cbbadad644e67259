"""Which raw rows name a customer, however the id is written, and whether the line could be read or not."""

from collections.abc import Collection

import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.silver.cast import cast

KEY = "customer_id"
CustomerId = int | str
"""A whole number, or the text that stands where one should: no customer of silver, but it may name a person."""
DIGITS = 18
NAMING = tuple(table for table, columns in TABLES.items() if KEY in columns)
"""The raw tables whose rows name a customer."""


def number(text: pl.Expr) -> pl.Expr:
    """The customer's id that a text means, as silver reads it: `59540.0` is 59540."""
    return cast(text, TABLES["customers"][KEY])


def customer_id(written: str) -> CustomerId:
    """The id that is written so; leading zeros make no other one, and the lake's type holds 18 digits."""
    text = written.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= DIGITS else text


def in_raw(ids: Collection[CustomerId]) -> pl.Expr:
    """Rows of bronze that name one of the customers; of a line that has no values, any field that is the id does."""
    text, numbers = pl.col(KEY), [one for one in ids if isinstance(one, int)]
    odd = number(text).is_null() & text.str.contains(field(ids))
    return surely(number(text).is_in(numbers)) | surely(odd) | surely(pl.col("raw").str.contains(field(ids)))


def surely(condition: pl.Expr) -> pl.Expr:
    """The condition, and no where it is unknown."""
    return condition.fill_null(False)


def field(ids: Collection[CustomerId]) -> str:
    """A whole field of a line, quoted or not, that is one of the ids."""
    written = (rf"0*{one}(?:\.0*)?" if isinstance(one, int) else pl.escape_regex(one) for one in ids)
    return rf'(?:^|[,;\t"])\s*(?:{"|".join(written)})\s*(?:$|[,;\t"])'
