"""Casts of text to the contract's types, as Polars expressions that give null where the text does not fit."""

import polars as pl

from lakehouse.contracts import MEANINGS, Column

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


def text_of(name: str, column: Column) -> pl.Expr:
    """The text of a column, null where it is empty or the contract's word for nothing."""
    text = pl.col(name).str.strip_chars()
    empty = (
        (text == "") if column.null is None else ((text == "") | (text == column.null) | (text == f"{column.null}.0"))
    )
    text = pl.when(~empty).then(text)
    return text.str.to_lowercase() if column.lower else text


def cast(text: pl.Expr, column: Column) -> pl.Expr:  # noqa: PLR0911 (one line per kind)
    """The text as the column's type."""
    dtype = TYPES[column.kind]
    number = text.cast(pl.Float64, strict=False)
    number = pl.when(number.is_finite()).then(number)
    if column.kind in ("id", "integer", "flag"):
        whole = pl.when(number == number.round(0), number.abs() < 2**53).then(number).cast(pl.Int64, strict=False)
        value = text.cast(pl.Int64, strict=False).fill_null(whole)
        return pl.when(value.is_in([0, 1])).then(value) if column.kind == "flag" else value
    if column.kind == "number":
        return number
    if column.kind == "fraction":
        return pl.when(number.is_between(0, 1)).then(number)
    if column.kind == "money":
        return pl.when(number.abs() < 1e13).then(number).round(2).cast(dtype)
    if column.kind == "date":
        return text.str.to_date("%Y-%m-%d", strict=False)
    if column.kind == "timestamp":
        return text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    return text


def broken_rule(name: str, column: Column, text: str, value: str) -> pl.Expr:
    """The name of the rule that a row breaks in this column, null for none; `text` and `value` name its columns."""
    rule: pl.Expr = pl.lit(None, dtype=pl.String)
    if column.minimum is not None:
        rule = pl.when(pl.col(value) < column.minimum).then(pl.lit(f"{name}_below_{column.minimum:g}"))
    if column.kind != "text":
        unfit = pl.col(text).is_not_null() & pl.col(value).is_null()
        rule = pl.when(unfit).then(pl.lit(f"{name}_{MEANINGS[column.kind]}")).otherwise(rule)
    if column.required:
        rule = pl.when(pl.col(text).is_null()).then(pl.lit(f"{name}_missing")).otherwise(rule)
    return rule
