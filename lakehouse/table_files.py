"""The files in the folders of tables, whether a version names them or not, on disk and on S3 alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fsspec

from lakehouse.errors import MissingTableError
from lakehouse.storage import Lake

LOG = "_delta_log"


@dataclass(frozen=True)
class StoredFile:
    """A file in a table's folder: its path there, its bytes, and when it was written (UTC)."""

    path: str
    size: int
    written_at: datetime


def tables(lake: Lake) -> list[str]:
    """The names of all tables in the lake, as in SQL, sorted."""
    system, root = _system(lake, lake.root)
    found = []
    for folder in _folders(system, root):
        name = _last(folder)
        if system.exists(f"{folder}/{LOG}"):
            found.append(name)
        else:
            found += [f"{name}.{_last(sub)}" for sub in _folders(system, folder) if system.exists(f"{sub}/{LOG}")]
    return sorted(found)


def check_table(lake: Lake, table: str) -> None:
    """Refuse a name that no table has.

    Raises:
        MissingTableError: it names the tables there are.
    """
    there = tables(lake)
    if table not in there:
        known = ", ".join(there) or "none; run `shopsphere ingest` and `shopsphere build` first"
        raise MissingTableError(f"there is no table {table!r} in {lake.root}; the tables are {known}")


def data_files(lake: Lake, table: str) -> dict[str, StoredFile]:
    """Every Parquet file in a table's folder by path: of any version, and of none."""
    found = {file.path: file for file in _stored(lake, table)}
    return {path: file for path, file in found.items() if path.endswith(".parquet") and not path.startswith(LOG)}


def log_files(lake: Lake, table: str) -> dict[str, int]:
    """The files of a table's log that belong to a version: path and version."""
    names = [file.path for file in _stored(lake, table, LOG)]
    return {path: int(_last(path)[:20]) for path in names if _last(path)[:20].isdigit()}


def readable_versions(lake: Lake, table: str, wanted: Iterable[int]) -> list[int]:
    """Those of the wanted versions that the log still describes: a checkpoint, or the start, and all commits after."""
    files = log_files(lake, table)
    commits = {version for path, version in files.items() if path.endswith(".json")}
    bases = {version for path, version in files.items() if path.endswith(".checkpoint.parquet")} | {-1}

    def described(version: int) -> bool:
        base = max((base for base in bases if base <= version), default=None)
        return base is not None and all(number in commits for number in range(base + 1, version + 1))

    last = max(commits, default=-1)
    return sorted(version for version in set(wanted) if 0 <= version <= last and described(version))


def read(lake: Lake, table: str, path: str) -> bytes:
    """The bytes of a file in a table's folder."""
    system, root = _system(lake, lake.uri(table))
    content: bytes = system.cat_file(f"{root}/{path}")
    return content


def delete(lake: Lake, table: str, paths: Iterable[str]) -> None:
    """Delete files of a table's folder; those that are gone already are no mistake."""
    system, root = _system(lake, lake.uri(table))
    for path in paths:
        try:
            system.rm_file(f"{root}/{path}")
        except FileNotFoundError:
            continue


def _stored(lake: Lake, table: str, under: str = "") -> list[StoredFile]:
    system, root = _system(lake, lake.uri(table))
    found = system.find(f"{root}/{under}".rstrip("/"), detail=True)
    return [
        StoredFile(path.removeprefix(f"{root}/"), info["size"], _written_at(info))
        for path, info in sorted(found.items())
    ]


def _written_at(info: dict[str, Any]) -> datetime:
    moment = info.get("LastModified")  # S3's; a local file has seconds since 1970
    return moment.astimezone(UTC) if moment else datetime.fromtimestamp(info["mtime"], UTC)


def _system(lake: Lake, uri: str) -> tuple[Any, str]:
    """The file system of the lake, which remembers no listing, and the address in its own form."""
    remote = uri.startswith("s3://")
    system = fsspec.filesystem("s3", use_listings_cache=False, **lake.settings.s3fs_options) if remote else None
    system = system or fsspec.filesystem("file")
    return system, str(system._strip_protocol(uri))


def _folders(system: Any, folder: str) -> list[str]:
    try:
        return sorted(
            info["name"].rstrip("/") for info in system.ls(folder, detail=True) if info["type"] == "directory"
        )
    except FileNotFoundError:
        return []


def _last(path: str) -> str:
    return path.rpartition("/")[2]
