"""The tables beside silver's five: what a batch rejected, counted and changed, written before the batch itself.

Each row names its table and batch. A batch counts once its table's own commit is there; rows of a batch that never
came so far (a killed build), or of before a rebuild, are taken out at the start of the next build.
"""

from datetime import datetime

import polars as pl

from lakehouse.contracts import rules
from lakehouse.silver.split import QUARANTINE
from lakehouse.storage import Lake

CHECKS = "silver.checks"
CHANGES = "silver.changes"
BATCH = "batch"
"""Application id under which a silver table's commit records its batch."""
REBUILT = "rebuilt"
"""Application id under which it records the batch that started the table anew."""
BUCKETS = "buckets"
"""Application id under which it records into how many buckets the table is divided."""


def tidy(lake: Lake, table: str) -> int:
    """Take out what belongs to no batch of the table, and give the number of its last one."""
    last = lake.transaction(f"silver.{table}", BATCH) or 0
    first = lake.transaction(f"silver.{table}", REBUILT) or 0
    for sidecar in (QUARANTINE, CHECKS, CHANGES):
        stale = (pl.col("table") == table) & ((pl.col(BATCH) > last) | (pl.col(BATCH) < first))
        if lake.exists(sidecar) and not lake.scan(sidecar).filter(stale).head(1).collect().is_empty():
            lake.delete(sidecar, f"\"table\" = '{table}' and (batch > {last} or batch < {first})")
    return last


def checks(table: str, batch: int, counts: dict[str, int]) -> pl.DataFrame:
    """One row per rule that was counted in a batch."""
    severities = rules(table)
    rows = [(table, batch, rule, severities[rule][0], rows) for rule, rows in sorted(counts.items())]
    schema = {
        "table": pl.String(),
        "batch": pl.Int64(),
        "rule": pl.String(),
        "severity": pl.String(),
        "rows": pl.Int64(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def changes(table: str, batch: int, since: dict[int | None, datetime | None]) -> pl.DataFrame:
    """From which moment on the batch changed a bucket's history; bucket null is all of them, since null always."""
    schema = {"table": pl.String(), "batch": pl.Int64(), "bucket": pl.Int32(), "since": pl.Datetime("us")}
    return pl.DataFrame([(table, batch, *change) for change in since.items()], schema=schema, orient="row")
