"""Text columns that say few different things: each text is typed once, not in every row that holds it."""

from dataclasses import dataclass, field

import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.silver.cast import Forms, broken, repaired, typed

FEW = 1_000
"""A column of more texts than these is typed row by row."""


@dataclass(frozen=True)
class Texts:
    """Silver's value of a column, by its name, and the rows that each of the column's repairing rules counts.

    A column is absent if it holds many texts, or one that breaks a rejecting rule.
    """

    values: dict[str, pl.Expr] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def few_texts(bronze: pl.LazyFrame, table: str, dialect: str = "standard", *, few: int = FEW) -> Texts:
    """What those text columns of bronze rows say that hold no more than a few texts, all of them good."""
    found = Texts()
    columns = {name: column for name, column in TABLES[table].items() if column.kind == "text"}
    if not columns:
        return found
    together = bronze.group_by(*columns).agg(rows=pl.len()).collect(engine="streaming")
    for name, column in columns.items():
        form = Forms(name)
        each = together.lazy().group_by(given=name).agg(pl.col("rows").sum())
        rows = typed(each.with_columns(pl.col("given").alias(name)), {name: column}, dialect)
        wrong = pl.any_horizontal(is_so for _, is_so in broken(name, column, form))
        mended = repaired(name, column, form)
        said = rows.select("given", name, "rows", wrong=wrong, **mended).collect()
        if said.height > few or said["wrong"].any():
            continue
        given, value = said["given"], said[name]
        same = given.equals(value.alias("given"))
        found.values[name] = pl.col(name) if same else pl.col(name).replace_strict(given, value)
        found.counts.update({rule: int(said.filter(rule)["rows"].sum()) for rule in mended})
    return found
