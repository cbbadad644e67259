"""Tells a person what is wrong with a query: a name that is nearly a table's, a change of what can only be read."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

import duckdb

from lakehouse.dictionary import tables

GONE = re.compile("No such file|NoSuchKey|404 Not Found")
UNKNOWN = re.compile(r'Table with name "?(?:\w+\.)*(\w+)"? does not exist')
LASTING = re.compile(
    r"\bcreate\s+(or\s+replace\s+)?(table|view|schema|sequence|index)\b|\b(drop|alter)\s+(view|schema)\b", re.IGNORECASE
)
"""What would not be temporary, or would take a table of the lake from the session."""
A_VIEW = re.compile(
    "Can only (delete from|update|merge into|modify)|is not an? table|is of type View|^Catalog.* View with"
)
"""DuckDB, where a statement would write to a view: all tables of the lake are views."""
READ_ONLY = (
    "the lake is read-only here: `shopsphere ingest`, `build` and `forget` change it; "
    "`create temp table NAME as …` keeps an answer until you leave"
)


def reason(error: Exception, query: str, absent: Iterable[str] = ()) -> str:
    """What to say of a query that DuckDB refuses; `absent` are tables that the lake may have and has not."""
    said = str(error).strip()
    if GONE.search(said):
        return "a file of that version is gone (vacuumed, or a person was forgotten): ask for a newer version"
    if isinstance(error, duckdb.Error) and A_VIEW.search(said):
        return READ_ONLY
    if not isinstance(error, duckdb.CatalogException):
        return said
    missing = [table for table in absent if re.search(rf"(?<![\w.]){re.escape(table)}\b", query.lower())]
    if missing:
        said = f"there is no {missing[0]} yet, or was none then"
    elif found := UNKNOWN.search(said):
        said = _unknown(found[1], query)
    return f"{said}{'' if said.endswith('?') else ';'} `show tables` lists what there is"


def changes_the_lake(connection: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Whether a statement would make or drop more than the session's own; to write to a table DuckDB refuses itself."""
    try:
        kinds = {parsed.type.name for parsed in connection.extract_statements(statement)}
    except duckdb.Error:
        return False  # it will say itself what is wrong
    return bool(kinds & {"CREATE", "DROP", "ALTER"} and LASTING.search(statement))


def _unknown(name: str, query: str) -> str:
    """That there is no such table, with the one whose name is nearest."""
    written = re.search(rf'(?:"?\w+"?\s*\.\s*)*"?{re.escape(name)}\b', query, re.IGNORECASE)
    asked = written[0].replace('"', "").lower() if written else name
    known = {table.rpartition(".")[2] if "." not in asked else table: table for table in tables()}
    near = get_close_matches(asked, known, n=1, cutoff=0.7) or get_close_matches(asked, tables(), n=1, cutoff=0.7)
    return f"there is no table {asked}" + (f", did you mean {known.get(near[0], near[0])}?" if near else "")
