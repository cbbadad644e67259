"""Builds each silver table from its bronze table; a table whose bronze did not change is left alone."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.silver.cast import broken_rule, cast, text_of
from lakehouse.storage import Lake

QUARANTINE = "silver.quarantine"
BRONZE = "bronze"
"""Application id under which a silver table's commit records the bronze version that it was built from."""


@dataclass(frozen=True)
class SilverReport:
    """Good and quarantined rows by table, of the tables that were built in this run."""

    good: dict[str, int]
    quarantined: dict[str, int]


def build_silver(lake: Lake, *, progress: Callable[[str], None] | None = None) -> SilverReport:
    """Build the silver tables whose bronze table has changed.

    Raises:
        MissingTableError: nothing was ingested yet.
    """
    good: dict[str, int] = {}
    quarantined: dict[str, int] = {}
    for table in TABLES:
        version = lake.version(f"bronze.{table}")
        if lake.transaction(f"silver.{table}", BRONZE) == version:
            continue
        accepted, rejected = split(table, lake.scan(f"bronze.{table}", version))
        # Quarantine first: the silver commit is what says that both are done.
        if rejected.height or lake.exists(QUARANTINE):
            lake.overwrite(QUARANTINE, rejected, predicate=f"\"table\" = '{table}'", partition_by="table")
        lake.overwrite(f"silver.{table}", accepted, app=(BRONZE, version))
        good[table], quarantined[table] = accepted.height, rejected.height
        if progress:
            progress(f"silver.{table}: {accepted.height:,} good rows, {rejected.height:,} quarantined")
    return SilverReport(good, quarantined)


def split(table: str, bronze: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Good rows, typed, and quarantined rows (table, rule, source_file, source_line, raw, loaded_at).

    Every row is in exactly one of them. A row that breaks several rules is given the first, in the contract's order.
    Of rows with the same key the one loaded last is good, and the others are `superseded`.
    """
    columns = TABLES[table]
    key = next(iter(columns))
    rows = (
        bronze.with_columns(text_of(name, column).alias(f"text {name}") for name, column in columns.items())
        .with_columns(cast(pl.col(f"text {name}"), column).alias(f"value {name}") for name, column in columns.items())
        .with_columns(
            rule=pl.coalesce(
                broken_rule(name, column, f"text {name}", f"value {name}") for name, column in columns.items()
            )
        )
    )
    if table == "transactions":
        rows = rows.with_columns(_unpriced_rule())
    if table == "campaigns":
        rows = rows.with_columns(_dates_rule())
    found = rows.collect(engine="streaming")
    valid = found.filter(pl.col("rule").is_null()).drop("rule")
    newest = valid
    superseded = valid.clear()
    if valid[f"value {key}"].n_unique() != valid.height:
        newest = valid.sort("loaded_at", "source_line", maintain_order=True).unique(f"value {key}", keep="last")
        superseded = valid.join(newest, on=["source_file", "source_line", "loaded_at"], how="anti")
    good = newest.select(pl.col(f"value {name}").alias(name) for name in columns).sort(key)
    rejected = pl.concat(
        [found.filter(pl.col("rule").is_not_null()), superseded.with_columns(rule=pl.lit("superseded"))],
        how="diagonal",
    )
    return good, rejected.select(
        "rule",
        "source_file",
        "source_line",
        "loaded_at",
        table=pl.lit(table),
        raw=pl.struct(*columns).struct.json_encode(),
    )


def _unpriced_rule() -> pl.Expr:
    """A row without product and without revenue is a good one, unpriced; with only one of them it is broken."""
    product, revenue = pl.col("value product_id").is_null(), pl.col("value gross_revenue").is_null()
    no_revenue = pl.when(revenue & ~product).then(pl.lit("gross_revenue_missing"))
    no_product = pl.when(product & ~revenue).then(pl.lit("product_id_missing"))
    return pl.coalesce("rule", no_revenue, no_product).alias("rule")


def _dates_rule() -> pl.Expr:
    backwards = pl.when(pl.col("value end_date") < pl.col("value start_date")).then(
        pl.lit("end_date_before_start_date")
    )
    return pl.coalesce("rule", backwards).alias("rule")
