"""Tells a person what is wrong with a query: a name that is nearly a table's, a change of what can only be read."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

import duckdb

from lakehouse.dictionary import tables

GONE = re.compile("No such file|NoSuchKey|404 Not Found")
UNKNOWN = re.compile(r'Table with name "?(?:\w+\.)*(\w+)"? does not exist')
CHANGING = {"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "DROP", "ALTER"}
"""Kinds of statements that change something; DuckDB's own name for each."""
OWN = re.compile(
    r"\bcreate\s+(or\s+replace\s+)?((temp|temporary)\s|(macro|function|type|secret)\b)|"
    r"\bdrop\s+(macro|function|type|secret)\b",
    re.IGNORECASE,
)
"""What lives in the session alone."""
READ_ONLY = (
    "the lake is read-only here: `shopsphere ingest`, `build` and `forget` change it; "
    "`create temp table NAME as …` keeps an answer until you leave"
)


def reason(error: Exception, query: str, absent: Iterable[str] = ()) -> str:
    """What to say of a query that DuckDB refuses; `absent` are tables that the lake may have and has not."""
    said = str(error).strip()
    if GONE.search(said):
        return "a file of that version is gone (vacuumed, or a person was forgotten): ask for a newer version"
    if not isinstance(error, duckdb.CatalogException):
        return said
    missing = [table for table in absent if table in query.lower()]
    if missing:
        said = f"there is no {missing[0]} yet, or was none then"
    elif found := UNKNOWN.search(said):
        said = _unknown(found[1], query)
    return f"{said}{'' if said.endswith('?') else ';'} `show tables` lists what there is"


def changes_the_lake(connection: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Whether a statement would change more than the session's own temporary tables."""
    try:
        kinds = {parsed.type.name for parsed in connection.extract_statements(statement)}
    except duckdb.Error:
        return False  # it will say itself what is wrong
    if not kinds & CHANGING or OWN.search(statement):
        return False
    own = connection.sql("select table_name from duckdb_tables() where temporary").fetchall()
    return not _target(statement) & {name for (name,) in own}


def _target(statement: str) -> set[str]:
    """The name of what a statement changes."""
    target = (
        r'\b(?:into|update|delete\s+from|truncate|table|view)\s+(?:table\s+)?(?:if\s+(?:not\s+)?exists\s+)?"?([\w.]+)'
    )
    found = re.search(target, statement, re.IGNORECASE)
    return {found[1]} if found else set()


def _unknown(name: str, query: str) -> str:
    """That there is no such table, with the one whose name is nearest."""
    written = re.search(rf'(?:"?\w+"?\s*\.\s*)*"?{re.escape(name)}\b', query, re.IGNORECASE)
    asked = written[0].replace('"', "").lower() if written else name
    known = {table.rpartition(".")[2] if "." not in asked else table: table for table in tables()}
    near = get_close_matches(asked, known, n=1, cutoff=0.7) or get_close_matches(asked, tables(), n=1, cutoff=0.7)
    return f"there is no table {asked}" + (f", did you mean {known.get(near[0], near[0])}?" if near else "")
