"""Build: silver from bronze and gold from silver; only what changed is computed, bucket by bucket of customers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lakehouse.gold.build import build_gold, label_as_ofs, present_as_ofs
from lakehouse.gold.frozen_lake import data_span
from lakehouse.parallel import Run, side_by_side
from lakehouse.silver.build import SilverReport, build_silver
from lakehouse.storage import Lake


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


def build(
    lake: Lake,
    *,
    as_of: Sequence[datetime] = (),
    run: Run = side_by_side,
    progress: Callable[[str], None] | None = None,
) -> BuildReport:
    """Build silver, then gold for its usual as_ofs and the given ones, which later builds keep.

    `run` maps a function over independent tasks, like `map`; each task writes files, and this process commits them.

    Raises:
        MissingTableError: nothing was ingested yet.
        ConfigurationError: an as_of lies outside the data.
        StorageError: the lake's storage failed; what was committed stays, and the next build does the rest.
        ConcurrentBuildError: another build was quicker; it goes on, and running this one again after it is safe.
    """
    with lake.failures():
        silver = build_silver(lake, run=run, progress=progress)
        gold = build_gold(lake, run=run, as_of=as_of, progress=progress)
    return BuildReport(silver, gold.rows, gold.frozen.clock)


def label_features(lake: Lake, table: str, *, run: Run = side_by_side) -> None:
    """Build what a gold table lacks of the as_ofs that labels need, see `gold.build.label_as_ofs`.

    They follow the data's clock, so that a build need not make them until somebody trains.

    Raises:
        MissingTableError: the lake was never built.
    """
    if not set(label_as_ofs(table, *data_span(lake))) <= present_as_ofs(lake, table):
        build_gold(lake, run=run, labels=[table])
