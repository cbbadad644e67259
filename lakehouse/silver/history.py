"""`silver.customer_history`: what was known of each customer from when on, by the data's own time.

A customer's first row holds from the beginning. A later row that says something else holds from the newest
transaction known when it was loaded: raw customers carry no date, and the wall clock says nothing about old data.
"""

import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.frozen_tables import FrozenTables
from lakehouse.ingest import FILE
from lakehouse.silver.sidecars import BATCH
from lakehouse.silver.split import checked, good_rows, schema
from lakehouse.storage import Lake

HISTORY = "silver.customer_history"
KEY = "customer_id"
ATTRIBUTES = [name for name in TABLES["customers"] if name != KEY]
SCHEMA = pl.Schema(
    {KEY: pl.Int64(), "valid_from": pl.Datetime("us")}
    | {name: schema("customers")[name] for name in ATTRIBUTES}
    | {BATCH: pl.Int64()}
)


def build_history(lake: Lake) -> int:
    """Add what customer files not seen yet tell; the versions added. Runs after the transactions are built."""
    now = FrozenTables.now(lake, ["bronze.customers", HISTORY])
    base = now.versions.get(HISTORY)
    present = {file.partition[FILE] for file in now.files("bronze.customers")}
    recorded = now.transactions(HISTORY, [BATCH, *(f"bronze/{file}" for file in present)])
    new = sorted(file for file in present if recorded[f"bronze/{file}"] is None)
    if not new and base is not None:
        return 0
    batch = (recorded[BATCH] or 0) + 1
    bronze = now.scan("bronze.customers").filter(pl.col(FILE).is_in(new))
    loaded = []
    for dialect in bronze.select("dialect").unique().collect()["dialect"]:
        typed = checked(bronze.filter(pl.col("dialect") == dialect), "customers", dialect)
        loaded.append(good_rows(typed, "customers").collect(engine="streaming"))
    rows = pl.concat(loaded or [pl.DataFrame(schema=schema("customers"))])
    added = _versions(now, rows).select(*SCHEMA.names()[:-1], batch=pl.lit(batch, pl.Int64))
    files = lake.stage(HISTORY).write(added.lazy()) if added.height else []
    app = {BATCH: batch} | {f"bronze/{file}": 1 for file in new}
    lake.commit(HISTORY, SCHEMA, add=files, app=app, base=base)
    return added.height


def _versions(now: FrozenTables, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that say something else of their customer than the version before them."""
    columns = [KEY, "valid_from", *ATTRIBUTES]
    told = rows.join(_known_at(now.lake, rows["loaded_at"].unique()), on="loaded_at", how="left")
    told = told.sort(KEY, "loaded_at", "source_file", "source_line").select(*columns, new=pl.lit(True))
    if HISTORY in now.versions:
        mine = now.scan(HISTORY).join(told.lazy().select(KEY).unique(), on=KEY, how="semi").collect()
        latest = mine.sort("valid_from", BATCH, nulls_last=False).group_by(KEY).last()
        told = pl.concat([latest.select(*columns, new=pl.lit(False)), told]).sort(KEY, maintain_order=True)
    else:
        told = told.sort(KEY, maintain_order=True)
    first = (pl.col(KEY) != pl.col(KEY).shift(1)).fill_null(True)
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in ATTRIBUTES)
    dated = told.with_columns(valid_from=pl.when(first & pl.col("new")).then(None).otherwise("valid_from"))
    changed = dated.filter(first | ~same).filter("new")
    return changed.unique([KEY, "valid_from"], keep="last", maintain_order=True)


def _known_at(lake: Lake, loads: pl.Series) -> pl.DataFrame:
    """The newest transaction known at each load, null where there was none."""
    known = lake.scan("silver.transactions").group_by("loaded_at").agg(pl.col("timestamp").max())
    pairs = pl.LazyFrame({"load": loads}).join(known, how="cross").filter(pl.col("loaded_at") < pl.col("load"))
    newest = pairs.group_by("load").agg(valid_from=pl.col("timestamp").max()).rename({"load": "loaded_at"})
    return pl.DataFrame({"loaded_at": loads}).join(newest.collect(engine="streaming"), on="loaded_at", how="left")
