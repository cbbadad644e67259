"""The tables beside silver's own: what a batch rejected, counted and changed, and which keys it brought.

Each row names its table and batch. The commit that makes a batch part of its own table names the files of these rows,
staged before; `settle` makes them part of the tables here, at once or, when the run died between, in the next one.
So a batch that never came, or that lost a race, leaves nothing.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache, partial

import polars as pl

from lakehouse.contracts import TABLES, rules
from lakehouse.errors import ConcurrentBuildError, StorageError
from lakehouse.frozen_tables import FrozenTables
from lakehouse.parallel import side_by_side
from lakehouse.silver import keys
from lakehouse.silver.keys import KEYED, KEYS
from lakehouse.silver.split import QUARANTINE, QUARANTINE_SCHEMA
from lakehouse.staging import StagedFile
from lakehouse.storage import Lake

CHECKS = "silver.checks"
CHANGES = "silver.changes"
RECENT = 5
"""Commits among which a batch that has just been committed is looked for first."""
BATCH = "batch"
"""Application id under which a silver table's commit records its batch."""
REBUILT = "rebuilt"
"""Application id under which it records the batch that started the table anew."""
BUCKETS = "buckets"
"""Application id under which it records into how many buckets the table is divided."""


CHECKS_SCHEMA = pl.Schema(
    {"table": pl.String(), "batch": pl.Int64(), "rule": pl.String(), "severity": pl.String(), "rows": pl.Int64()}
)
CHANGES_SCHEMA = pl.Schema(
    {"table": pl.String(), "batch": pl.Int64(), "bucket": pl.Int32(), "since": pl.Datetime("us")}
)
SIDECARS = {QUARANTINE: QUARANTINE_SCHEMA, CHECKS: CHECKS_SCHEMA, CHANGES: CHANGES_SCHEMA, KEYS: keys.SCHEMA}
"""Each records, under the application id of a silver table, the last batch of it that is here."""


def named(batch: int, files: Mapping[str, Sequence[StagedFile]]) -> dict[str, str]:
    """The metadata by which a batch's commit names the staged files of its rows here."""
    told = {sidecar: [asdict(file) for file in staged] for sidecar, staged in files.items()}
    return {BATCH: str(batch), "sidecars": json.dumps(told)}


def settle(lake: Lake, tables: Collection[str] = tuple(TABLES), *, now: FrozenTables | None = None) -> None:
    """Make the rows of the tables' last batches part of the tables here, if they are not.

    now: the tables and those here, where the caller has looked at them already.
    """
    now = now or FrozenTables.now(lake, [*(f"silver.{table}" for table in tables), *SIDECARS])
    recorded = now.recorded({f"silver.{table}": [BATCH, KEYED, REBUILT] for table in tables})
    staged = cache(lambda silver: _staged(lake, silver, recorded[silver][BATCH] or 0))
    list(side_by_side(partial(_settle, now, recorded, staged), SIDECARS))


def _settle(
    now: FrozenTables,
    recorded: Mapping[str, Mapping[str, int | None]],
    staged: Callable[[str], Mapping[str, Sequence[StagedFile]]],
    sidecar: str,
) -> None:
    lake, base = now.lake, now.versions.get(sidecar)
    settled, told_by = now.transactions(sidecar, recorded), KEYED if sidecar == KEYS else BATCH
    due = {silver: last for silver, of in recorded.items() if (last := of[told_by] or 0) > (settled[silver] or 0)}
    files = [file for silver in due for file in staged(silver).get(sidecar, ())]
    if lost := [silver for silver in due if not staged(silver)]:
        place = f"{lake.uri(lost[0])}/_delta_log"
        raise StorageError(f"{place} tells nothing of the last batch of {lost[0]}: restore the commits that it had")
    try:
        if due:
            lake.commit(sidecar, SIDECARS[sidecar], add=files, app=due, base=base)
    except ConcurrentBuildError:  # another run has settled some of them
        _settle(FrozenTables.now(lake, [sidecar]), recorded, staged, sidecar)
    for silver, of in recorded.items():
        if (first := of[REBUILT]) and lake.exists(sidecar):
            _delete_earlier(lake, sidecar, silver.removeprefix("silver."), first)


def _delete_earlier(lake: Lake, sidecar: str, table: str, first: int) -> None:
    """Delete the rows of batches before the one that started their table anew."""
    outdated = (pl.col("table") == table) & (pl.col(BATCH) < first)
    if not lake.scan(sidecar).filter(outdated).head(1).collect().is_empty():
        lake.delete(sidecar, f"\"table\" = '{table}' and batch < {first}")


def _staged(lake: Lake, silver: str, batch: int) -> dict[str, list[StagedFile]]:
    told = "{}"
    for since in (lake.version(silver) - RECENT, -1):
        mine = [commit for commit in lake.history(silver, since=max(since, -1)) if commit.get(BATCH) == str(batch)]
        if mine:
            told = mine[0]["sidecars"]
            break
    return {sidecar: [StagedFile(**file) for file in files] for sidecar, files in json.loads(told).items()}


def checks(table: str, batch: int, counts: dict[str, int]) -> pl.DataFrame:
    """One row per rule that was counted in a batch."""
    severities = rules(table)
    rows = [(table, batch, rule, severities[rule][0], rows) for rule, rows in sorted(counts.items())]
    return pl.DataFrame(rows, schema=CHECKS_SCHEMA, orient="row")


def changes(table: str, batch: int, since: dict[int | None, datetime | None]) -> pl.DataFrame:
    """From which moment on the batch changed a bucket's history; bucket null is all of them, since null always."""
    rows = [(table, batch, *change) for change in since.items()]
    return pl.DataFrame(rows, schema=CHANGES_SCHEMA, orient="row")
