"""Runs the statements of a text: a query from the command line, a file, an example, or what comes through a pipe."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from lakehouse.errors import ConfigurationError
from lakehouse.query_examples import example, parse
from lakehouse.query_session import Session

USED = re.compile(r"\$([A-Za-z_]\w*)")
LEAVING = re.compile(r"^\s*(exit|quit)\s*;?\s*\Z", re.IGNORECASE | re.MULTILINE)


def read(query: str | None, *, file: Path | None = None, example_name: str | None = None) -> str:
    """The one text that is asked for: a query, a file's or an example's; without any, the input.

    Raises:
        ConfigurationError: more than one is given, or the file cannot be read.
    """
    if sum(given is not None for given in (query, file, example_name)) > 1:
        raise ConfigurationError("give one of a query, --file and --example")
    if query is not None:
        return query
    if example_name is not None:
        return example(example_name).text
    if file is None or str(file) == "-":
        return LEAVING.sub("", sys.stdin.read())
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {str(file)!r}: {error}; name a text file with SQL") from error


def run_script(
    session: Session, text: str, parameters: Iterable[str] = (), *, limit: int | None = None
) -> Iterator[pl.DataFrame]:
    """The answer of each statement, its first rows where there is a limit; the first mistake ends it.

    Parameters are given as `name=EXPRESSION`.

    Raises:
        SqlError: DuckDB refuses a statement, or a parameter's expression.
        ConfigurationError: a parameter is unknown, or lacks a value.
    """
    values = _values(session, text, parameters)
    for statement in session.statements(text):
        yield session.ask(statement, _used(statement, values), limit=limit)


def plans(session: Session, text: str, parameters: Iterable[str] = ()) -> Iterator[str]:
    """The plan of each statement; errors as in `run_script`."""
    values = _values(session, text, parameters)
    for statement in session.statements(text):
        yield session.explain(statement, _used(statement, values))


def _values(session: Session, text: str, parameters: Iterable[str]) -> dict[str, Any]:
    """The value of each parameter: the given expression's, else that of the default in the text's head."""
    used = dict.fromkeys(USED.findall(text))
    given = {}
    for parameter in parameters:
        name, _, expression = parameter.partition("=")
        if name not in used or not expression:
            known = ", ".join(f"${name}" for name in used) or "none"
            raise ConfigurationError(f"{parameter!r} sets no parameter of the query ({known}): write name=EXPRESSION")
        given[name] = expression
    expressions = {**parse("", text).defaults, **given}
    if missing := [name for name in used if name not in expressions]:
        raise ConfigurationError(f"${missing[0]} has no value: give it with --parameter {missing[0]}=EXPRESSION")
    return {name: session.value(expressions[name]) for name in used}


def _used(statement: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in USED.findall(statement)}
