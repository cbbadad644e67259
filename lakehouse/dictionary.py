"""What each table of the lake holds: its grain, and every column's meaning and unit, as `dictionary.toml` has them."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_UNIT = re.compile(r"(?P<meaning>.*?)(?: \[(?P<unit>[^\]]+)\])?")


@dataclass(frozen=True)
class Meaning:
    """What a column says; `unit` is empty for ids, counts and text."""

    text: str
    unit: str

    def __str__(self) -> str:
        return f"{self.text} [{self.unit}]" if self.unit else self.text


@dataclass(frozen=True)
class Table:
    """A table's grain and its columns; with `as_answered`, a column is there once a model has given it a value.

    An `optional` table is absent in a shop that has no such data.
    """

    name: str
    grain: str
    columns: Mapping[str, Meaning]
    as_answered: bool = False
    optional: bool = False


@cache
def tables() -> Mapping[str, Table]:
    """Every table that can be queried, by its name in SQL; a group that is `shadowed` is there twice."""
    told = tomllib.loads((Path(__file__).parent / "dictionary.toml").read_text(encoding="utf-8"))
    found = {}
    for name, entry in told["tables"].items():
        texts = {column: text for group in entry.get("groups", ()) for column, text in told["groups"][group].items()}
        beside = {column: text for group in entry.get("shadowed", ()) for column, text in told["groups"][group].items()}
        texts |= {f"challenger_{column}": f"of the challenger in the shadow: {text}" for column, text in beside.items()}
        meanings = {column: _meaning(text) for column, text in (texts | entry.get("columns", {})).items()}
        flags = (entry.get(flag, False) for flag in ("as_answered", "optional"))
        found[name] = Table(name, entry["grain"], meanings, *flags)
    return found


def _meaning(text: str) -> Meaning:
    parts = _UNIT.fullmatch(text)
    assert parts is not None  # noqa: S101  # the pattern takes any line
    return Meaning(parts["meaning"], parts["unit"] or "")
