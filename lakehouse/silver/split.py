"""Splits a piece of one bronze file into good rows, typed, and quarantined rows with the rule that each broke."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from lakehouse.contracts import FACTS, ROW_RULES, TABLES, key_of
from lakehouse.ingest import FILE, LINEAGE
from lakehouse.silver.cast import TYPES, Forms, broken, raw_text, repaired, typed
from lakehouse.silver.keys import KEYS, blocks
from lakehouse.silver.texts import few_texts
from lakehouse.staging import StagedFile
from lakehouse.storage import Lake

QUARANTINE = "silver.quarantine"
RECENT = timedelta(days=60)
"""A piece's rows before its last days are in files of their own: builds that count on from totals of a month's start
skip them whole, however the rows of an export are ordered."""
LOOKED_UP = {"customers": ["customer_id", "signup_date"], "products": ["product_id", "base_price", "launch_date"]}
LOOKED_UP["campaigns"] = ["campaign_id", "channel", "start_date", "end_date"]
"""The key and the other columns by which rules over a row look something up in another table."""
QUARANTINE_SCHEMA = pl.Schema(
    {
        "table": pl.String(),
        "rule": pl.String(),
        "source_file": pl.String(),
        "source_line": pl.Int64(),
        "loaded_at": pl.Datetime("us"),
        "key": pl.Int64(),
        "raw": pl.String(),
        "batch": pl.Int64(),
    }
)
"""Columns of the quarantine; `batch` is the build of the table that put the row there."""


@dataclass(frozen=True)
class Piece:
    """Some lines of one bronze file: what one task of a build splits."""

    table: str
    file: str
    dialect: str
    version: int
    first_line: int
    last_line: int
    batch: int
    buckets: int
    source_file: str
    loaded_at: datetime


@dataclass(frozen=True)
class Split:
    """Files staged for a piece: good rows, rejected ones, keys of facts; and rows by repairing or warning rule."""

    good: list[StagedFile]
    rejected: list[StagedFile]
    keys: list[StagedFile]
    counts: dict[str, int]


class Dimensions:
    """What rules over a row look up in other tables, as they are when first asked; read once for many pieces."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._known: dict[str, pl.DataFrame] = {}

    def beside(self, rows: pl.LazyFrame, table: str) -> pl.LazyFrame:
        """The rows that name something of a table, with what is known of it, as `<table>.<column>`."""
        key = LOOKED_UP[table][0]
        if table not in self._known:
            self._known[table] = self._read(table).collect()
        return rows.filter(pl.col(key).is_not_null()).join(self._known[table].lazy(), on=key, how="left")

    def _read(self, table: str) -> pl.LazyFrame:
        columns = LOOKED_UP[table]
        there = self._lake.exists(f"silver.{table}")
        rows = self._lake.scan(f"silver.{table}") if there else pl.LazyFrame(schema=schema(table))
        return rows.select(columns[0], *(pl.col(name).alias(f"{table}.{name}") for name in columns))


def split(lake: Lake, dimensions: Dimensions, piece: Piece) -> Split:
    """Stage a piece's rows: every row is in silver's table or in quarantine, with the first rule that it broke."""
    bronze = _bronze(lake, piece)
    texts = few_texts(bronze, piece.table, piece.dialect)
    rows = checked(bronze, piece.table, piece.dialect, texts.values)
    mended = _repairs(piece.table, but=texts.values)
    whole = rows.select(*TABLES[piece.table], "source_line", "rule", **mended).collect(engine="streaming")
    good, rejected = whole.drop(*mended, "rule"), list[StagedFile]()
    if whole["rule"].null_count() < whole.height:
        good = good.filter(whole["rule"].is_null())
        rejected = lake.stage(QUARANTINE).write(rejected_rows(rows, piece.table, piece.batch))
    counts = texts.counts | whole.select(pl.col(mended.keys()).sum()).row(0, named=True)
    counts |= _warnings(dimensions, good.lazy(), piece.table)
    facts = piece.table in FACTS
    divided = {"bucket": bucket_of("customer_id", piece.buckets)} if facts else {}
    apart = {"recent": pl.col("timestamp") >= pl.col("timestamp").max() - RECENT} if facts else {}
    origin = {"source_file": pl.lit(piece.source_file), "loaded_at": pl.lit(piece.loaded_at)}
    placed = good.lazy().with_columns(**origin, **divided).select(schema(piece.table).names())
    stage = lake.stage(f"silver.{piece.table}", partition_by=list(divided), apart=list(apart))
    files = stage.write(placed.with_columns(**apart))
    keys = list[StagedFile]()
    if facts and good.height:
        keys = lake.stage(KEYS).write(blocks(good[key_of(piece.table)], piece.table, piece.batch).lazy())
    return Split(files, rejected, keys, {rule: count for rule, count in counts.items() if count})


def checked(
    bronze: pl.LazyFrame, table: str, dialect: str = "standard", known: Mapping[str, pl.Expr] | None = None
) -> pl.LazyFrame:
    """Bronze rows typed, with each column's texts and what was parsed beside it, and `rule`: the first one broken.

    The columns whose value is `known` break no rule of their own.
    """
    known = known or {}
    columns = {name: column for name, column in TABLES[table].items() if name not in known}
    rows = bronze.with_columns(raw_text(name, dialect).alias(Forms(name).text) for name in known).with_columns(**known)
    rows = typed(rows, columns, dialect)
    found = [pl.col("malformed")]
    for name, column in columns.items():
        wrong = broken(name, column, Forms(name))
        found += [pl.when(is_so).then(pl.lit(rule)) for rule, is_so in wrong]
    found += [pl.when(rule.broken).then(pl.lit(rule.name)) for rule in ROW_RULES[table] if rule.severity == "reject"]
    return rows.with_columns(rule=pl.coalesce(found))


def good_rows(rows: pl.LazyFrame, table: str) -> pl.LazyFrame:
    """The rows that break no rejecting rule, with their lineage."""
    return rows.filter(pl.col("rule").is_null()).select(*TABLES[table], *LINEAGE)


def rejected_rows(rows: pl.LazyFrame, table: str, batch: int = 1) -> pl.LazyFrame:
    """The rows that break one, as the quarantine holds them."""
    fields = pl.struct(pl.col(f"text {name}").alias(name) for name in TABLES[table]).struct.json_encode()
    return rows.filter(pl.col("rule").is_not_null()).select(
        pl.lit(table).alias("table"),
        "rule",
        *LINEAGE,
        pl.col(f"parsed {key_of(table)}").alias("key"),
        pl.coalesce("raw", fields).alias("raw"),
        pl.lit(batch, pl.Int64).alias("batch"),
    )


def bucket_of(key: str, buckets: int) -> pl.Expr:
    """The bucket of an id: Knuth's multiplicative hash, the same whatever the library's version."""
    return ((pl.col(key) % 2**31 * 2_654_435_761 // 2**16) % buckets).cast(pl.Int32)


def schema(table: str) -> pl.Schema:
    """The columns of a silver table."""
    found: dict[str, pl.DataType] = {name: TYPES[column.kind] for name, column in TABLES[table].items()}
    found |= {"source_file": pl.String(), "source_line": pl.Int64(), "loaded_at": pl.Datetime("us")}
    return pl.Schema(found | ({"bucket": pl.Int32()} if table in FACTS else {}))


def _bronze(lake: Lake, piece: Piece) -> pl.LazyFrame:
    rows = lake.scan(f"bronze.{piece.table}", piece.version).filter(pl.col(FILE) == piece.file)
    return rows.filter(pl.col("source_line").is_between(piece.first_line, piece.last_line)).drop(FILE)


def _repairs(table: str, *, but: Container[str]) -> dict[str, pl.Expr]:
    """The repairing rules of most columns, and whether a row needed them."""
    wrong: dict[str, pl.Expr] = {}
    for name, column in TABLES[table].items():
        if name not in but:
            wrong |= repaired(name, column, Forms(name))
    return wrong


def _warnings(dimensions: Dimensions, rows: pl.LazyFrame, table: str) -> dict[str, int]:
    """On how many good rows each warning rule was broken, by what the other tables say now."""
    rules = [rule for rule in ROW_RULES[table] if rule.severity == "warn"]
    sums = []
    for other in dict.fromkeys(rule.joins for rule in rules):
        beside = rows if other is None else dimensions.beside(rows, other)
        sums.append(beside.select(rule.broken.sum().alias(rule.name) for rule in rules if rule.joins == other))
    return {
        rule: count
        for found in pl.collect_all(sums, engine="streaming")
        for rule, count in found.row(0, named=True).items()
    }
