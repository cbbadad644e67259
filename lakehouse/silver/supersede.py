"""Where a key comes twice: the row loaded later wins, whatever the order of builds, and the other is superseded.

Of rows loaded in one run the one of the later file by name, then of the later line, wins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lakehouse.contracts import FACTS, SUPERSEDED, key_of
from lakehouse.ingest import LINEAGE
from lakehouse.silver.keys import distinct, had
from lakehouse.staging import StagedFile
from lakehouse.storage import Lake

KEYS_AT_ONCE = 16_000_000
ROWS_AT_ONCE = 2_000_000
ORDER = ("loaded_at", "source_file", "source_line")


@dataclass(frozen=True)
class Superseded:
    """What a commit adds and removes so that every key is there once.

    rows: those that lost, kept in `scratch`; None where none did. new: how many of them had only just come.
    """

    add: list[StagedFile]
    remove: list[StagedFile]
    rows: pl.LazyFrame | None = None
    new: int = 0


def supersede(
    lake: Lake,
    table: str,
    new: Sequence[StagedFile],
    old: Sequence[StagedFile],
    *,
    told: Sequence[StagedFile],
    keyed: bool,
    scratch: Path,
) -> Superseded:
    """Compare staged files with each other and with the table's present ones, by key.

    told: the files for `silver.keys` that tell of all keys of the new ones; none where nobody tells. keyed: whether
    that table tells of all keys that are present.
    """
    files = {file.path: file for file in (*old, *new)}
    alone = not old and _once(lake, new, told)
    clashing = _clashing(lake, table, new, old, keyed) if new and not alone else None
    if clashing is None or clashing.is_empty():
        return Superseded(list(new), [])
    rows = _rows(lake, table, list(files.values()))
    for number, keys in enumerate(clashing.iter_slices(ROWS_AT_ONCE)):
        found = rows.join(keys.lazy(), on="key", how="semi").collect(engine="streaming").sort("key", *ORDER)
        lost = found.filter(pl.col("key") == pl.col("key").shift(-1))
        lost.write_parquet(scratch / f"{number}.parquet")
    losers = pl.scan_parquet(scratch / "*.parquet")
    beaten = set(losers.select(pl.col("path").unique()).collect(engine="streaming")["path"])
    kept = [part for path in sorted(beaten) for part in _without(lake, table, files[path], losers)]
    fresh = losers.filter(pl.col("path").is_in([file.path for file in new])).select(pl.len())
    return Superseded(
        add=[*(file for file in new if file.path not in beaten), *kept],
        remove=[file for file in old if file.path in beaten],
        rows=losers,
        new=fresh.collect(engine="streaming").item(),
    )


def quarantined(losers: pl.LazyFrame, table: str, batch: int) -> pl.LazyFrame:
    """The rows that lost as the quarantine holds them; their text is in bronze."""
    return losers.select(
        pl.lit(table).alias("table"),
        pl.lit(SUPERSEDED.name).alias("rule"),
        "source_file",
        "source_line",
        "loaded_at",
        "key",
        pl.lit(None, pl.String).alias("raw"),
        pl.lit(batch, pl.Int64).alias("batch"),
    )


def _once(lake: Lake, new: Sequence[StagedFile], told: Sequence[StagedFile]) -> bool:
    """Whether it is known at once that no key of the new rows comes twice: there are as many keys as rows."""
    fits = 0 < sum(file.rows for file in told) <= KEYS_AT_ONCE
    return fits and distinct(lake, told) == sum(file.rows for file in new)


def _clashing(
    lake: Lake, table: str, new: Sequence[StagedFile], old: Sequence[StagedFile], keyed: bool
) -> pl.DataFrame:
    """The keys that come more than once and at least once among the new rows, found in parts that fit into memory."""
    found = []
    silver, key = f"silver.{table}", key_of(table)
    fresh = lake.read_files(silver, new).select(key=key)
    for part in _parts(sum(file.rows for file in new)):
        mine = fresh.filter(part).collect(engine="streaming").sort("key")
        found.append(mine.filter(pl.col("key") == pl.col("key").shift(-1)))
        known = mine["key"] if old else mine["key"].clear()
        if keyed and known.len():
            known = had(lake, table, known)
        if known.len():
            present = lake.read_files(silver, old).select(key=key)
            is_known = pl.col("key").is_in(known.implode())  # half the time of a semi join
            found.append(present.filter(is_known).collect(engine="streaming"))
    return pl.concat(found).unique()


def _parts(rows: int) -> Iterator[pl.Expr]:
    count = -(-rows // KEYS_AT_ONCE)
    return (pl.col("key") % count == part for part in range(count))


def _rows(lake: Lake, table: str, files: Sequence[StagedFile]) -> pl.LazyFrame:
    silver = f"silver.{table}"
    moment = ["customer_id", "timestamp"] if table in FACTS else []
    rows = lake.read_files(silver, files, include_file_paths="path")
    inside = pl.col("path").str.replace("file://", "", literal=True).str.strip_prefix(f"{lake.uri(silver)}/")
    return rows.select(pl.col(key_of(table)).alias("key"), *LINEAGE, *moment, path=inside)


def _without(lake: Lake, table: str, file: StagedFile, losers: pl.LazyFrame) -> list[StagedFile]:
    """A file written again without the rows that lost."""
    silver = f"silver.{table}"
    gone = losers.filter(pl.col("path") == file.path).select(LINEAGE)
    rows = lake.read_files(silver, [file]).join(gone, on=list(LINEAGE), how="anti")
    return lake.stage(silver, partition=file.partition).write(rows)
