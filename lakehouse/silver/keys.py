"""`silver.keys`: which keys the facts have had, a bit each, so that a night's new rows need not be compared with all.

A key whose bit is not set is new. One whose bit is set may be gone again: who finds some looks at the rows themselves.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from lakehouse.packed import Array, fresh
from lakehouse.staging import StagedFile
from lakehouse.storage import Lake

KEYS = "silver.keys"
SCHEMA = pl.Schema({"table": pl.String(), "batch": pl.Int64(), "block": pl.Int64(), "bits": pl.Int64()})
"""A piece's keys, 64 to a block: bit k of block b is key 64 b + k, of which bit 63 is the sign."""
BLOCK = 6
"""A block's number is the key without so many of its bits."""
KEYED = "keyed"
"""Application id under which a commit of facts records its batch, if it and all before it told of their keys."""


def blocks(keys: pl.Series, table: str, batch: int) -> pl.DataFrame:
    """The rows that tell of some keys."""
    known = np.sort(keys.to_numpy())
    numbers = known >> BLOCK
    begins = np.flatnonzero(fresh(numbers))
    bits = np.bitwise_or.reduceat(_bits(known), begins)
    told = pl.DataFrame({"block": numbers[begins], "bits": bits})
    return told.select(pl.lit(table).alias("table"), pl.lit(batch, pl.Int64).alias("batch"), "block", "bits")


def distinct(lake: Lake, files: Sequence[StagedFile]) -> int:
    """Of how many different keys staged files tell."""
    of_block = lake.read_files(KEYS, files).group_by("block").agg(pl.col("bits").bitwise_or())
    return int(of_block.select(pl.col("bits").bitwise_count_ones().sum()).collect(engine="streaming").item())


def had(lake: Lake, table: str, keys: pl.Series) -> pl.Series:
    """Those of the keys that the table may have had, if all of its batches have told of theirs."""
    if not lake.exists(KEYS):
        return keys
    wanted = keys.to_numpy()
    numbers = wanted >> BLOCK
    mine = (pl.col("table") == table) & pl.col("block").is_in(pl.Series(numbers).implode())
    of_block = lake.scan(KEYS).filter(mine).group_by("block").agg(pl.col("bits").bitwise_or()).sort("block")
    found = of_block.collect(engine="streaming")
    if found.is_empty():
        return keys.clear()
    there, bits = found["block"].to_numpy(), found["bits"].to_numpy()
    places = np.searchsorted(there, numbers)
    known = there.take(places, mode="clip") == numbers
    return keys.filter(pl.Series(known & (bits.take(places, mode="clip") & _bits(wanted) != 0)))


def _bits(keys: Array) -> Array:
    bits: Array = np.left_shift(np.int64(1), keys & ((1 << BLOCK) - 1))
    return bits
