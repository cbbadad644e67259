"""What did not pass the contract: rows by rule and by file, and what a later file has healed."""

import polars as pl

from lakehouse.contracts import SUPERSEDED, TABLES, key_of, rules
from lakehouse.ingest import LINEAGE
from lakehouse.query import sql
from lakehouse.silver.sidecars import CHECKS
from lakehouse.silver.split import QUARANTINE, QUARANTINE_SCHEMA
from lakehouse.storage import Lake
from lakehouse.table_rules import TABLE_RULES


def rows(lake: Lake, table: str | None = None) -> pl.LazyFrame:
    """The quarantined rows with `status`: superseded, healed (a good row of its key or line came later), or open."""
    none = pl.LazyFrame(schema=QUARANTINE_SCHEMA).with_columns(status=pl.lit("", pl.String))
    if not lake.exists(QUARANTINE):
        return none
    found = lake.scan(QUARANTINE)
    names = [name for name in ([table] if table else TABLES) if lake.exists(f"silver.{name}")]
    return pl.concat([none, *(_with_status(lake, found, name) for name in names)])


def by_rule(lake: Lake, table: str | None = None) -> pl.DataFrame:
    """One row per table and rule that was broken: severity, meaning, rows in all, and those still open."""
    schema = {"table": pl.String, "rule": pl.String, "severity": pl.String, "meaning": pl.String}
    named = [(name, rule, *told) for name in TABLES for rule, told in rules(name).items()]
    known = pl.DataFrame(named, schema=schema, orient="row")
    rejected = (
        rows(lake, table)
        .group_by("table", "rule")
        .agg(pl.len().cast(pl.Int64).alias("rows"), (pl.col("status") == "open").sum().cast(pl.Int64).alias("open"))
    )
    counted = pl.LazyFrame(schema={"table": pl.String, "rule": pl.String, "rows": pl.Int64, "open": pl.Int64})
    if lake.exists(CHECKS):
        counted = lake.scan(CHECKS).group_by("table", "rule").agg(pl.col("rows").sum(), open=pl.lit(0, pl.Int64))
        counted = counted.filter(pl.col("table") == table) if table else counted
    both = pl.concat([rejected, counted.select("table", "rule", "rows", "open")]).collect()
    order = pl.col("severity").replace_strict({"reject": 0, "warn": 1, "repair": 2}, return_dtype=pl.Int64)
    found = both.join(known, on=["table", "rule"], how="left")
    return found.sort(order, "table", pl.col("rows"), "rule", descending=[False, False, True, False]).select(
        "table", "severity", "rule", "rows", "open", "meaning"
    )


def of_tables(lake: Lake, table: str | None = None) -> pl.DataFrame:
    """The rules over whole tables that are broken, as `by_rule` gives them; reads all silver facts."""
    names = [name for name in TABLE_RULES if table in (None, name) and lake.exists(f"silver.{name}")]
    counted = [
        (name, "warn", rule.name, sql(lake, rule.rows).item(), 0, rule.meaning)
        for name in names
        for rule in TABLE_RULES[name]
    ]
    schema = {"table": pl.String, "severity": pl.String, "rule": pl.String, "rows": pl.Int64, "open": pl.Int64}
    found = pl.DataFrame(counted, schema=schema | {"meaning": pl.String}, orient="row")
    return found.filter(pl.col("rows") > 0)


def examples(lake: Lake, table: str, rule: str, limit: int = 5) -> pl.DataFrame:
    """Some rows that broke a rejecting rule and are still open (or superseded), with their text as it came."""
    superseded = rule == SUPERSEDED.name
    found = rows(lake, table).filter(
        pl.col("rule") == rule, pl.col("status") == ("superseded" if superseded else "open")
    )
    sample = found.sort(*LINEAGE).head(limit).select(*LINEAGE, "key", "raw").collect()
    if not superseded or sample.is_empty():
        return sample
    text = pl.struct(*TABLES[table]).struct.json_encode()
    came = lake.scan(f"bronze.{table}").join(sample.lazy().select(LINEAGE), on=list(LINEAGE), how="semi")
    told = came.select(*LINEAGE, raw=text).collect()
    return sample.drop("raw").join(told, on=list(LINEAGE), how="left", maintain_order="left")


def by_file(lake: Lake, table: str | None = None) -> pl.DataFrame:
    """One row per raw file: the rows that came in, and how many are good and quarantined now."""
    schema = {"table": pl.String(), "source_file": pl.String(), "loaded_at": pl.Datetime("us")}
    parts = [pl.LazyFrame(schema=pl.Schema(schema | dict.fromkeys(("rows", "good", "quarantined"), pl.Int64())))]
    for name in [table] if table else TABLES:
        if not lake.exists(f"bronze.{name}") or not lake.exists(f"silver.{name}"):
            continue
        origin = ["source_file", "loaded_at"]
        counts = [
            lake.scan(f"bronze.{name}").group_by(origin).agg(pl.len().cast(pl.Int64).alias("rows")),
            lake.scan(f"silver.{name}").group_by(origin).agg(pl.len().cast(pl.Int64).alias("good")),
            rows(lake, name).group_by(origin).agg(pl.len().cast(pl.Int64).alias("quarantined")),
        ]
        joined = counts[0]
        for other in counts[1:]:
            joined = joined.join(other, on=origin, how="left")
        parts.append(
            joined.select(pl.lit(name).alias("table"), *origin, pl.col("rows", "good", "quarantined").fill_null(0))
        )
    return pl.concat(parts).sort("loaded_at", "table", "source_file").collect(engine="streaming")


def _with_status(lake: Lake, found: pl.LazyFrame, table: str) -> pl.LazyFrame:
    """A broken row is healed by a good one of its key loaded later; without a key, by its file and line."""
    mine = found.filter(pl.col("table") == table)
    key = key_of(table)
    good = lake.scan(f"silver.{table}").select(pl.col(key).alias("key"), *LINEAGE)
    broken = mine.filter(pl.col("rule") != SUPERSEDED.name).with_row_index("row")
    by_key = broken.join(good, on="key", suffix="_good")
    by_line = broken.filter(pl.col("key").is_null()).join(
        good.rename({"loaded_at": "loaded_at_good"}), on=["source_file", "source_line"]
    )
    healed = pl.concat(
        [part.filter(pl.col("loaded_at_good") > pl.col("loaded_at")).select("row") for part in (by_key, by_line)]
    )
    status = broken.join(healed.unique().with_columns(status=pl.lit("healed")), on="row", how="left").drop("row")
    beaten = mine.filter(pl.col("rule") == SUPERSEDED.name).with_columns(status=pl.lit("superseded"))
    return pl.concat([status.with_columns(pl.col("status").fill_null("open")), beaten])
