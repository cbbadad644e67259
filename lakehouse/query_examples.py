"""Queries kept as files: questions a retailer asks, and the training sets; each with its parameters in its head.

The first line is the question, as a comment. A line `-- $name: meaning; default EXPRESSION` declares a parameter, whose
default is an SQL expression over the lake.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lakehouse.errors import ConfigurationError
from lakehouse.query import sql
from lakehouse.storage import Lake

FOLDER = Path(__file__).parent / "queries"
_DECLARED = re.compile(r"^-- \$(?P<name>\w+): (?P<meaning>.+); default (?P<default>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A query with its question, and the default of each of its parameters as an SQL expression."""

    name: str
    question: str
    text: str
    defaults: Mapping[str, str]


def parse(name: str, text: str) -> Example:
    """A query's question and parameters, from the comments at its head."""
    question = text.partition("\n")[0].removeprefix("--").strip()
    return Example(name, question, text, {found["name"]: found["default"] for found in _DECLARED.finditer(text)})


def examples() -> list[Example]:
    """All queries that come with the shop, by name."""
    return [parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.sql"))]


def listed() -> pl.DataFrame:
    """The queries' names, questions and parameters, for people."""
    rows = [(one.name, one.question, ", ".join(f"${name}" for name in one.defaults)) for one in examples()]
    return pl.DataFrame(
        rows, schema={"example": pl.String, "question": pl.String, "parameters": pl.String}, orient="row"
    )


def example(name: str) -> Example:
    """The query of that name.

    Raises:
        ConfigurationError: there is none.
    """
    for found in examples():
        if found.name == name:
            return found
    raise ConfigurationError(f"no example {name!r}: `shopsphere sql --examples` lists them")


def run_example(lake: Lake, name: str, *, versions: Mapping[str, int] | None = None, **parameters: Any) -> pl.DataFrame:
    """The answer of a query that comes with the shop; all of its parameters are given.

    Raises:
        SqlError: it fails on the data.
    """
    return sql(lake, example(name).text, versions=versions, parameters=parameters)
