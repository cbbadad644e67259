"""The versions of a table, newest first: when, by which operation, what came and went, and what pins each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from lakehouse.pins import Pins
from lakehouse.storage import Lake
from lakehouse.table_files import LOG, check_table, log_files, read, readable_versions


@dataclass(frozen=True, kw_only=True)
class TableVersion:
    """One version: `at` is UTC; rows removed are unknown (None) where the log of the version before is gone."""

    version: int
    at: datetime
    operation: str
    files_added: int
    files_removed: int
    rows_added: int
    rows_removed: int | None
    pinned_by: Sequence[str]


def history(lake: Lake, table: str, *, limit: int | None = None, pins: Pins | None = None) -> list[TableVersion]:
    """The newest `limit` versions of a table that its log still holds, newest first.

    Raises:
        MissingTableError: there is no such table; the message names those there are.
    """
    check_table(lake, table)
    commits = sorted(number for path, number in log_files(lake, table).items() if path.endswith(".json"))
    chosen = commits[-limit:] if limit else commits
    rows = _rows_before(lake, table, chosen[0]) if chosen else {}
    pinned = (pins or {}).get(table, {})
    found = []
    for number in chosen:
        actions = [json.loads(line) for line in read(lake, table, f"{LOG}/{number:020}.json").splitlines() if line]
        found.append(_version(number, actions, rows, pinned.get(number, ())))
    return found[::-1]


def _rows_before(lake: Lake, table: str, version: int) -> dict[str, int]:
    """The rows of each file that is there just before a version."""
    before = readable_versions(lake, table, [version - 1])
    return {file.path: file.rows for file in lake.files(table, before[0])} if before else {}


def _version(number: int, actions: list[dict[str, Any]], rows: dict[str, int], who: Sequence[str]) -> TableVersion:
    """One commit as a row; `rows` learns the files that it adds."""
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    added = [action["add"] for action in actions if "add" in action]
    removed = [action["remove"] for action in actions if "remove" in action]
    came = {unquote(file["path"]): json.loads(file.get("stats") or "{}").get("numRecords", 0) for file in added}
    gone = [rows.pop(unquote(file["path"]), None) for file in removed]
    rows |= came
    return TableVersion(
        version=number,
        at=datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC),
        operation=str(info.get("shopsphere") or info.get("operation", "")).lower(),
        files_added=len(added),
        files_removed=len(removed),
        rows_added=sum(came.values()),
        rows_removed=None if None in gone else sum(count or 0 for count in gone),
        pinned_by=tuple(who),
    )
