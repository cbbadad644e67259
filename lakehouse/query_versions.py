"""Time travel: which Delta version of a table a query reads, by number or by the moment of its commit."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import polars as pl

from lakehouse.dictionary import tables
from lakehouse.errors import ConfigurationError, MissingTableError, ShopSphereError, StorageError
from lakehouse.storage import Lake
from lakehouse.table_files import readable_versions


class VersionError(ShopSphereError):
    """A table has no such version, or keeps it no more."""


def parse_versions(pins: Iterable[str]) -> dict[str, int]:
    """The versions of tables given as `gold.customer_features=12`.

    Raises:
        ConfigurationError: a text is not of that form, or names no table.
    """
    found = {}
    for pin in pins:
        table, _, number = pin.partition("=")
        if table not in tables():
            raise ConfigurationError(f"no table {table!r}: write a version as gold.customer_features=12")
        if not number.isdecimal():
            raise ConfigurationError(f"{pin!r} names no version: write it as {table}=12")
        found[table] = int(number)
    return found


def scan_at(lake: Lake, table: str, *, versions: Mapping[str, int], at: datetime | None) -> pl.LazyFrame | None:
    """The rows of a table at its pinned version, else as they were at a moment, else now; None where it was not there.

    Raises:
        VersionError: there is no such version, or it is not kept.
    """
    if not lake.exists(table):
        if table in versions:
            raise VersionError(f"table {table!r} does not exist in {lake.root}: ask without a version of it")
        return None
    version = versions.get(table)
    if version is None and at is not None:
        version = version_at(lake, table, at)
        if version is None:
            return None
    return lake.scan(table) if version is None else _pinned(lake, table, version)


def check_moment(at: datetime) -> None:
    """Refuse a moment (UTC where it has no zone) that has not come yet.

    Raises:
        VersionError: it says what time it is.
    """
    now = datetime.now(UTC)
    if (at if at.tzinfo else at.replace(tzinfo=UTC)) > now:
        raise VersionError(f"{at} is in the future: it is {now:%Y-%m-%d %H:%M:%S} UTC now")


def version_at(lake: Lake, table: str, at: datetime) -> int | None:
    """The newest version committed up to a moment (UTC where it has no zone); None before the table's first commit.

    The moments are those that the writers recorded, so that they survive a copy of the lake.

    Raises:
        VersionError: the log does not reach back so far.
    """
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    commits = [(int(commit["version"]), commit["timestamp"]) for commit in lake.delta(table).history()]
    earlier = [version for version, stamp in commits if stamp <= moment.timestamp() * 1000]
    if earlier:
        return max(earlier)
    first, stamp = min(commits)
    if first == 0:
        return None
    since = datetime.fromtimestamp(stamp / 1000, UTC)
    raise VersionError(f"{table} is not kept as of {at}: its log begins {since:%Y-%m-%d %H:%M:%S} with version {first}")


def _pinned(lake: Lake, table: str, version: int) -> pl.LazyFrame:
    newest = lake.version(table)
    if version > newest:
        raise VersionError(f"{table} has no version {version}: its newest is {newest}")
    try:
        return lake.scan(table, version)
    except (StorageError, MissingTableError) as error:
        kept = readable_versions(lake, table, range(newest + 1))
        choice = f"{kept[0]} to {newest}" if kept and kept[0] < newest else str(newest)
        raise VersionError(f"{table} does not keep version {version} any more: choose {choice}") from error
