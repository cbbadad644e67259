"""Casts of text to the contract's types, as Polars expressions that give null where the text does not fit."""

from collections.abc import Mapping
from datetime import date, datetime

import polars as pl

from lakehouse.contracts import LONGEST_TEXT, MEANINGS, Column

TYPES: dict[str, pl.DataType] = {
    "id": pl.Int64(),
    "integer": pl.Int64(),
    "flag": pl.Int64(),
    "number": pl.Float64(),
    "fraction": pl.Float64(),
    "money": pl.Decimal(18, 2),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us"),
    "text": pl.String(),
}
PATTERNS = {
    "date": ("%Y-%m-%d", "%d-%m-%Y"),
    "timestamp": ("%Y-%m-%d %H:%M:%S", "%d-%m-%Y %H:%M", "%d-%m-%Y %H:%M:%S"),
}
"""The contract's form, then those of the dialect excel."""
LIMITS = {
    "date": (date(1000, 1, 1), date(9999, 12, 31)),
    "timestamp": (datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59)),
}
"""Polars reads 22 as the year 22, which nobody means, and +12345, which few others can hold."""


class Forms:
    """The names of a column's three forms: the text as given, what is `read` from it, and what is `parsed`."""

    def __init__(self, name: str) -> None:
        self.text, self.read, self.parsed = (f"{form} {name}" for form in ("text", "read", "parsed"))


def typed(rows: pl.LazyFrame, columns: Mapping[str, Column], dialect: str = "standard") -> pl.LazyFrame:
    """Bronze rows with silver's value of each column, and the column's `Forms` beside it.

    Each form is a step of its own: within one expression, Polars would read a text as often as it is named.
    """
    forms = {name: Forms(name) for name in columns}
    rows = rows.with_columns(raw_text(name, dialect).alias(form.text) for name, form in forms.items())
    rows = rows.with_columns(
        read(pl.col(form.text), columns[name], dialect).alias(form.read) for name, form in forms.items()
    )
    rows = rows.with_columns(
        fitted(pl.col(form.read), pl.col(form.text), columns[name], dialect).alias(form.parsed)
        for name, form in forms.items()
    )
    return rows.with_columns(value(form.parsed, columns[name]).alias(name) for name, form in forms.items())


def raw_text(name: str, dialect: str) -> pl.Expr:
    """A bronze column; in the dialect excel the text `Null` is nothing."""
    text = pl.col(name)
    return text if dialect == "standard" else pl.when(text.str.strip_chars() != "Null").then(text)


def cast(text: pl.Expr, column: Column, dialect: str = "standard") -> pl.Expr:
    """The text as the column's type; null where it is empty or does not fit."""
    return fitted(read(text, column, dialect), text, column, dialect)


def read(text: pl.Expr, column: Column, dialect: str = "standard") -> pl.Expr:
    """What the text says when it is read in the usual way, be it within the kind's limits or not."""
    if column.kind in ("id", "integer", "flag"):
        return text.cast(pl.Int64, strict=False)
    if column.kind in ("number", "fraction", "money"):
        return text.cast(pl.Float64, strict=False)
    if column.kind in PATTERNS:
        return _moment(text, column, dialect)
    return text.str.strip_chars()


def _moment(text: pl.Expr, column: Column, dialect: str) -> pl.Expr:
    patterns = PATTERNS[column.kind] if dialect == "excel" else PATTERNS[column.kind][:1]
    if column.kind == "date":
        return pl.coalesce(text.str.to_date(pattern, strict=False) for pattern in patterns)
    return pl.coalesce(  # few moments come twice: a cache of them costs more than reading them
        text.str.to_datetime(pattern, time_unit="us", strict=False, cache=False) for pattern in patterns
    )


def fitted(found: pl.Expr, text: pl.Expr, column: Column, dialect: str = "standard") -> pl.Expr:
    """The value of what was `read` from the text; null where there is none."""
    if column.kind in ("id", "integer", "flag"):
        return _whole(found, text, column)
    if column.kind != "text":  # blanks around it are rare: `then` is worked out only where it counts
        unread = found.is_null() & text.is_not_null()
        found = pl.when(unread).then(read(text.str.strip_chars(), column, dialect)).otherwise(found)
    if column.kind == "fraction":
        return pl.when(found.is_between(0, 1)).then(found)
    if column.kind == "money":
        return pl.when(found.abs() < 1e13).then(found).round(2).cast(TYPES["money"])
    if column.kind == "number":
        return pl.when(found.is_finite()).then(found)
    if column.kind in PATTERNS:
        return pl.when(found.is_between(*LIMITS[column.kind])).then(found)
    return found.str.to_lowercase() if column.lower else found


def _whole(found: pl.Expr, text: pl.Expr, column: Column) -> pl.Expr:
    number = text.str.strip_chars().cast(pl.Float64, strict=False)
    whole = pl.when(number == number.round(0), number.abs() < 2**53).then(number).cast(pl.Int64, strict=False)
    value = pl.when(found.is_null() & text.is_not_null()).then(whole).otherwise(found)
    return pl.when(value.is_in([0, 1])).then(value) if column.kind == "flag" else value


def value(parsed: str, column: Column) -> pl.Expr:
    """The value that silver gets from a parsed column: the sentinel is nothing, an empty text its default."""
    found = pl.col(parsed)
    if column.null is not None:
        found = pl.when(found != int(column.null)).then(found)
    if column.kind == "text":
        found = pl.when(found != "").then(found)
        return found if column.default is None else found.fill_null(column.default)
    return found


def broken(name: str, column: Column, form: Forms) -> list[tuple[str, pl.Expr]]:
    """The rejecting rules of a column and whether a row breaks them."""
    given, found = pl.col(form.text), pl.col(form.parsed)
    if column.kind == "text":
        rules = [(f"{name}_too_long", found.str.len_bytes() > LONGEST_TEXT)]
        if column.required:
            rules.append((f"{name}_missing", found.is_null() | (found == "")))
        return rules
    unread = pl.when(found.is_null()).then(given.str.strip_chars() != "")  # `then` is worked out only where it counts
    rules = [(f"{name}_{MEANINGS[column.kind][0]}", unread)]
    if column.required:
        rules.append((f"{name}_missing", found.is_null()))
    if column.minimum is not None:
        rules.append((f"{name}_below_{column.minimum:g}", found < column.minimum))
    return rules


def repaired(name: str, column: Column, form: Forms) -> dict[str, pl.Expr]:
    """The repairing rules of a column and whether a row needed them."""
    given, usual, found = pl.col(form.text), pl.col(form.read), pl.col(form.parsed)
    rules: dict[str, pl.Expr] = {}
    if column.kind in ("id", "integer", "flag"):
        rules[f"{name}_written_as_float"] = pl.when(usual.is_null() & found.is_not_null()).then(
            given.str.contains(".", literal=True)
        )
    if column.lower:
        folded = usual != found
        rules[f"{name}_case"] = folded & (usual != found.str.to_titlecase()) if column.titled else folded
    if column.default is not None:
        rules[f"{name}_empty"] = found.is_null() | (found == "")
    return rules
