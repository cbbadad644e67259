"""Writes a generated shop block by block: the contract's CSVs, and the truth as Parquet apart from them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow.parquet as pq

from lakehouse.contracts import FACTS
from lakehouse.errors import ConfigurationError
from lakehouse.sources.synthetic import dirt
from lakehouse.sources.synthetic.knobs import Knobs
from lakehouse.sources.synthetic.shop import Block, Shop

AHEAD = 2
"""Blocks that are made while one is written."""
LAST = "transactions"
"""Appears when everything else is there."""
MARK = "dirt.parquet"
"""In the truth of every shop: what is beside it was generated."""


def check_ours(raw: Path, truth: Path) -> None:
    """Refuse folders whose files somebody else has written; what an interrupted run left is ours.

    Raises:
        ConfigurationError: it names the folder.
    """
    for folder in (raw, truth):
        there = [path for path in folder.glob("*") if path.suffix != ".part"]
        if there and not (truth / MARK).exists():
            raise ConfigurationError(
                f"{folder} has files that were not generated, such as {there[0].name}: name another folder"
            )


def generate(
    raw: Path,
    truth: Path,
    knobs: Knobs,
    *,
    order: Iterable[int] | None = None,
    progress: Callable[[int, int, int], None] = lambda done, blocks, events: None,
) -> dict[str, int]:
    """Write the shop into two folders and say how many rows each raw file has; equal knobs give equal bytes.

    `progress` is told how many blocks are done, of how many, and their events. A file appears under its name when all
    are whole. Another `order` of the blocks gives the same set of rows.
    """
    shop = Shop.of(knobs)
    numbers = range(shop.blocks) if order is None else order
    with _Files(raw, truth) as files:
        files.write(shop.whole())
        for done, block in enumerate(_blocks(shop, numbers), start=1):
            files.write(block)
            progress(done, shop.blocks, files.rows.get("events", 0))
        if knobs.dirt.broken_lines:
            files.end_with_broken_lines()
        return files.rows


def _blocks(shop: Shop, numbers: Iterable[int]) -> Iterator[Block]:
    """The blocks in the order asked for, the next one or two being made meanwhile."""
    with ThreadPoolExecutor(AHEAD) as pool:
        waiting: deque[Future[Block]] = deque()
        for number in numbers:
            waiting.append(pool.submit(_made, shop, number))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _made(shop: Shop, number: int) -> Block:
    made = shop.block(number)
    spoilt = dirt.spoil(shop.knobs, number, dict(made.raw))
    return Block(spoilt.files, {**made.truth, "dirt": spoilt.dirt})


class _Files:
    """The open files of a run; they get their names at its orderly end, and are removed at any other."""

    def __init__(self, raw: Path, truth: Path) -> None:
        self.rows: dict[str, int] = {}
        self._raw, self._truth = raw, truth
        self._csv: dict[str, IO[bytes]] = {}
        self._parquet: dict[str, pq.ParquetWriter] = {}
        self._open = ExitStack()

    def __enter__(self) -> "_Files":
        self._raw.mkdir(parents=True, exist_ok=True)
        self._truth.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._open.close()
        for table in FACTS if kind is None else ():  # of an earlier shop: they belong to no other
            (self._raw / f"{table}-late.csv").unlink(missing_ok=True)
        paths = [self._raw / f"{name}.csv" for name in sorted(self._csv, key=lambda name: (name == LAST, name))]
        for path in [self._truth / f"{name}.parquet" for name in self._parquet] + paths:
            part = path.with_suffix(path.suffix + ".part")
            part.rename(path) if kind is None else part.unlink()

    def write(self, block: Block) -> None:
        for name, frame in block.raw.items():
            fresh = name not in self._csv
            if fresh:
                self._csv[name] = self._open.enter_context((self._raw / f"{name}.csv.part").open("wb"))
            frame.write_csv(self._csv[name], include_header=fresh, datetime_format=dirt.STAMP)
            self.rows[name] = self.rows.get(name, 0) + frame.height
        self._tell(block.truth)

    def _tell(self, tables: Mapping[str, pl.DataFrame]) -> None:
        for name, frame in tables.items():
            table = frame.to_arrow()
            if name not in self._parquet:
                path = self._truth / f"{name}.parquet.part"
                self._parquet[name] = self._open.enter_context(pq.ParquetWriter(path, table.schema))
            if frame.height:
                self._parquet[name].write_table(table)

    def end_with_broken_lines(self) -> None:
        for table, text in dirt.BROKEN_LINES.items():
            self._csv[table].write(text.encode())
            self.rows[table] += text.count("\n")
        self._tell({"dirt": dirt.broken()})
