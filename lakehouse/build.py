"""Build: silver from bronze and gold from silver; what did not change is left alone, and old as_ofs are kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.errors import ConfigurationError
from lakehouse.gold import campaign_exposures, customer_features, interactions, product_features
from lakehouse.gold.history import History, data_span, read_history
from lakehouse.silver import SilverReport, build_silver
from lakehouse.storage import Lake

SILVER = "silver"
"""Application id under which a gold table's commit records the silver that it was built from."""


@dataclass(frozen=True)
class BuildReport:
    """What silver did, and the rows that each gold table got in this run."""

    silver: SilverReport
    gold: dict[str, int]
    clock: datetime


def data_clock(lake: Lake) -> datetime:
    """The midnight after the newest valid transaction: the default as_of of everything.

    Raises:
        MissingTableError: the lake was never built.
    """
    return data_span(lake)[1]


def build(lake: Lake, *, as_of: Sequence[datetime] = (), progress: Callable[[str], None] | None = None) -> BuildReport:
    """Build silver, then gold for its usual as_ofs and the given ones.

    Raises:
        MissingTableError: nothing was ingested yet.
        ConfigurationError: an as_of lies outside the data.
    """
    silver = build_silver(lake, progress=progress)
    run = _Run(lake, as_of, progress or (lambda sentence: None))
    run.keep(
        customer_features.TABLE,
        lambda: customer_features.as_ofs(run.history),
        lambda moments: customer_features.customer_features(run.history, moments),
    )
    run.whole(campaign_exposures.TABLE, lambda: campaign_exposures.campaign_exposures(run.history))
    run.keep(
        product_features.TABLE,
        lambda: product_features.as_ofs(run.clock),
        lambda moments: product_features.product_features(lake, moments),
    )
    run.keep(
        interactions.TABLE,
        lambda: product_features.as_ofs(run.clock),
        lambda moments: interactions.interactions(lake, moments),
    )
    return BuildReport(silver, run.rows, run.clock)


class _Run:
    """One build of gold: knows which tables are stale, and condenses silver once, when the first table needs it."""

    def __init__(self, lake: Lake, extra: Sequence[datetime], say: Callable[[str], None]) -> None:
        self._lake = lake
        self._say = say
        self._state = sum(lake.version(f"silver.{table}") for table in TABLES)
        self._history: History | None = None
        self.first, self.clock = data_span(lake)
        self.rows: dict[str, int] = {}
        for moment in extra:
            if not self.first < moment <= self.clock:
                raise ConfigurationError(
                    f"no features as of {moment}: the data begins {self.first} and ends before {self.clock}"
                )
        self._extra = list(extra)

    @property
    def history(self) -> History:
        """Silver, condensed."""
        if self._history is None:
            self._history = read_history(self._lake)
        return self._history

    def keep(
        self, table: str, usual: Callable[[], list[datetime]], rows: Callable[[list[datetime]], pl.DataFrame]
    ) -> None:
        """Add the as_ofs that a table lacks; where silver has changed, make all of its as_ofs again."""
        there = self._as_ofs(table)
        stale = self._stale(table)
        if not stale and set(self._extra) <= there:
            return
        wanted = there | set(usual()) | set(self._extra)
        if stale:
            self._commit(table, rows(sorted(wanted)), self._lake.overwrite)
        else:
            self._commit(table, rows(sorted(wanted - there)), self._lake.append)

    def whole(self, table: str, rows: Callable[[], pl.DataFrame]) -> None:
        """Make a table again where silver has changed."""
        if self._stale(table):
            self._commit(table, rows(), self._lake.overwrite)

    def _stale(self, table: str) -> bool:
        return self._lake.transaction(table, SILVER) != self._state

    def _as_ofs(self, table: str) -> set[datetime]:
        if not self._lake.exists(table):
            return set()
        return set(self._lake.scan(table).select(pl.col("as_of").unique()).collect()["as_of"])

    def _commit(self, table: str, frame: pl.DataFrame, write: Callable[..., None]) -> None:
        write(table, frame, app=(SILVER, self._state))
        self.rows[table] = frame.height
        moments = "" if table == campaign_exposures.TABLE else f", {frame['as_of'].n_unique()} as_ofs"
        self._say(f"{table}: {frame.height:,} rows{moments}")
