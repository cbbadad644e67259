"""Reads what models were trained on from a registry that is a SQLite file: to import MLflow for it takes seconds."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

TRAINED_ON = """
select found.name, found.version, told.value from model_versions found
left join model_version_tags told
on told.name = found.name and told.version = found.version and told.key = 'data_versions'
where found.current_stage <> 'Deleted_Internal' order by found.name, found.version
"""


def trained_on(uri: str) -> list[tuple[str, int, str]] | None:
    """Name, version and the tag `data_versions` of each registered model, sorted.

    None where only MLflow can tell: the registry is a server, or its file is laid out in another way.
    """
    if not uri.startswith("sqlite:///"):
        return None
    address = f"file:{quote(str(Path(uri.removeprefix('sqlite:///')).absolute()))}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True)
        try:
            rows = connection.execute(TRAINED_ON).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return None
    return [(str(name), int(version), told or "{}") for name, version, told in rows]
