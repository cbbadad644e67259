"""Which table a raw file is for, by its name, and which files look like data and are for none."""

import re
from collections.abc import Iterable

from lakehouse.contracts import TABLES

DATA = re.compile(
    r"[^.].*\.(csv|tsv|tab|psv|txt|dat|jsonl?|ndjson|parquet|feather|avro|orc|xlsx?|xlsm|ods|zip|gz|bz2|xz|zst|7z|tar)",
    re.IGNORECASE,
)
NAMED = 20
"""Files without a table that a message names."""


def table_of(name: str) -> str | None:
    """The table of `events.csv`, `Events-2024-05.CSV`, `events_2024_05.csv.gz`; None for other names."""
    found = re.fullmatch(rf"({'|'.join(TABLES)})([-_.].*)?\.csv(\.gz)?", name, re.IGNORECASE)
    return found[1].lower() if found else None


def ignored(names: Iterable[str]) -> str:
    """Names the files that look like data and belong to no table; empty where there is none."""
    found = [name for name in names if table_of(name) is None and DATA.fullmatch(name)]
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more
