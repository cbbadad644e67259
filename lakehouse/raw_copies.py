"""The raw files that generated sources keep under `raw`: copies of ours, from which a customer is removed too."""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from lakehouse.naming import KEY, CustomerId
from lakehouse.sources.csv import DIALECTS, content_id
from lakehouse.sources.names import table_of
from lakehouse.sources.scan import Shape, examine
from lakehouse.storage import Lake


def raw_copies(lake: Lake) -> list[Path]:
    """The files with a column `customer_id`."""
    folder = lake.settings.var_dir / "raw"
    return [path for path in sorted(folder.rglob("*")) if path.suffix in (".csv", ".parquet") and KEY in _columns(path)]


def forget_copy(lake: Lake, path: Path, customer_id: CustomerId) -> int:
    """Write a file again without the customer, and give the rows that went.

    A file that was ingested counts as ingested still, though its content is new.
    """
    scratch = path.with_suffix(".part")
    before = _shape(path) if path.suffix == ".csv" else None
    count = _rows(path, scratch, customer_id) if before is None else _lines(path, scratch, customer_id)
    if not count:
        scratch.unlink()
        return 0
    if before is not None:
        _ingested(lake, path, before.digest, _shape(scratch).digest)
    scratch.replace(path)
    return count


def _columns(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(pl.read_parquet_schema(path))
    with path.open("rb") as file:
        return [name.strip().decode("utf-8", "replace") for name in file.readline().split(b",")]


def _shape(path: Path) -> Shape:
    with path.open("rb") as file:
        return examine(file)


def _ingested(lake: Lake, path: Path, before: str, after: str) -> None:
    bronze = f"bronze.{table_of(path.name)}"
    for dialect in DIALECTS:
        if lake.transaction(bronze, f"ingest/{content_id(before, dialect)}") is not None:
            schema = lake.scan(bronze).collect_schema()
            by = lake.delta(bronze).metadata().partition_columns
            lake.commit(bronze, schema, partition_by=by, app={f"ingest/{content_id(after, dialect)}": 1})


def _rows(path: Path, scratch: Path, customer_id: CustomerId) -> int:
    rows = pl.scan_parquet(path, glob=False)
    mine = (pl.col(KEY) == customer_id).fill_null(False) if isinstance(customer_id, int) else pl.lit(False)
    count = rows.select(mine.sum()).collect(engine="streaming").item()
    rows.filter(~mine).sink_parquet(scratch)
    return int(count)


def _lines(path: Path, scratch: Path, customer_id: CustomerId) -> int:
    gone = 0
    with path.open("rb") as file, scratch.open("wb") as kept:
        for mine, line in _marked(file, customer_id):
            gone += mine
            if not mine:
                kept.write(line)
    return gone


def _marked(lines: Iterator[bytes], customer_id: CustomerId) -> Iterator[tuple[bool, bytes]]:
    """Each line and whether it names the customer: in the id's own field, or in any where the line has not all."""
    header = next(lines, b"")
    yield False, header
    names = [name.strip() for name in header.split(b",")]
    place, text = names.index(KEY.encode()), str(customer_id).encode()
    number = isinstance(customer_id, int)
    own_text = rb"0*" + text + rb"(\.0*)?" if number else re.escape(text)
    written = re.compile(rb'\s*"?\s*' + own_text + rb'\s*"?\s*')
    for line in lines:
        if text not in line:
            yield False, line
            continue
        fields = line.split(b",")
        own = [fields[place]] if len(fields) == len(names) else fields
        yield any(written.fullmatch(field) for field in own), line
