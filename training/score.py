"""Bulk scores: what the champion answers about everybody, as a version of the Delta table `gold.<use case>_scores`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import ConfigurationError, ShopSphereError
from lakehouse.storage import Lake
from training import use_cases
from training.bulk_inputs import Block, BulkInputs, bulk_inputs
from training.recommend_request import DEFAULT_K
from training.registry import Registry, VersionInfo
from training.settings import TrainingSettings
from training.use_case import Model

Array = np.ndarray[Any, Any]


class ScoringError(ShopSphereError):
    """There is no model to score with."""


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """What was written: rows of `version` of `table`, by which model, from features as of when."""

    table: str
    version: int
    rows: int
    model: str
    model_version: int
    baseline: bool
    as_of: datetime

    def line(self) -> str:
        """The report in one line, for people."""
        simple = ", the simple baseline" if self.baseline else ""
        return (
            f"{self.table} version {self.version}: {self.rows:,} rows by {self.model} {self.model_version}{simple}, "
            f"as of {self.as_of:%Y-%m-%d}"
        )


def scores_table(use_case: str) -> str:
    """The name of a use case's table of scores."""
    return f"gold.{use_case}_scores"


def with_champion(settings: TrainingSettings) -> list[str]:
    """The use cases that can be scored.

    Raises:
        ShopSphereError: the registry cannot be reached.
    """
    registry = Registry(settings)
    return [use_case.name for use_case in use_cases.USE_CASES if registry.champion(use_case.name)]


def score(
    settings: TrainingSettings,
    name: str,
    *,
    k: int = DEFAULT_K,
    campaign_id: str | None = None,
    output: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> ScoreReport:
    """Let the champion answer about every entity of the newest gold, one bucket in memory at a time.

    The scores replace those of the run before, which stay as the table's older version. `k` is how many products a
    recommendation has, `campaign_id` what propensity is about. `output` is a .csv or .parquet file that gets them too.

    Raises:
        ScoringError: the use case has no champion.
        ConfigurationError: `output` is neither.
        ConcurrentBuildError: another run wrote the same table meanwhile.
        ShopSphereError: unknown use case or campaign, tables missing, or the registry cannot be reached.
    """
    use_case = use_cases.get(name)
    if output is not None:
        _suffix(output)
    registry, lake = Registry(settings), Lake(settings)
    champion = registry.champion(name)
    if champion is None:
        raise ScoringError(f"{name!r} has no champion: run `shopsphere train {name} --promote` first")
    everybody = bulk_inputs(use_case, lake, campaign_id=campaign_id)
    model = registry.load(champion)
    table, now = scores_table(name), datetime.now(UTC).replace(tzinfo=None)
    base = lake.version(table) if lake.exists(table) else None
    stage, schema, done = lake.stage(table), pl.Schema(), 0
    for block in everybody.blocks(k=k):
        frame = _scored(block, model, everybody, champion, now)
        stage.write(frame.lazy())
        schema, done = frame.schema, done + frame.height
        if progress:
            progress(f"{name}: {done:,} of {everybody.count:,} {use_case.entity}s scored")
    lake.commit(table, schema, add=stage.files, remove=None, base=base, metadata={"shopsphere": "score"})
    if output is not None:
        export(lake, table, output)
    return ScoreReport(
        table=table,
        version=lake.version(table),
        rows=done,
        model=name,
        model_version=champion.version,
        baseline=champion.kind == "baseline",
        as_of=everybody.as_of,
    )


def export(lake: Lake, table: str, output: str) -> None:
    """Write a table's newest rows to a .csv or .parquet file, also on s3://; in CSV a list is words between spaces.

    Raises:
        ConfigurationError: the file is of another kind.
    """
    rows = lake.scan(table)
    storage = lake.settings.scan_options if output.startswith("s3://") else None
    with lake.failures():
        if _suffix(output) == ".parquet":
            rows.sink_parquet(output, storage_options=storage, mkdir=True)
            return
        lists = [
            pl.col(n).cast(pl.List(pl.String)).list.join(" ") for n, d in rows.collect_schema().items() if d == pl.List
        ]
        rows.with_columns(lists).sink_csv(output, storage_options=storage, mkdir=True)


def _scored(block: Block, model: Model, everybody: BulkInputs, champion: VersionInfo, now: datetime) -> pl.DataFrame:
    count = len(block.ids)
    answers = model.predict(block.inputs, block.options)
    columns = [pl.Series(everybody.key, block.ids, dtype=pl.Int64)]
    columns += [_series(name, answers[name]) for name in everybody.use_case.outputs if name in answers]
    if everybody.campaign is not None:
        columns.append(pl.Series("campaign_id", [everybody.campaign.campaign_id] * count))
    traced: dict[str, tuple[Any, Any]] = {
        "model_version": (champion.version, pl.Int32()),
        "feature_table": (everybody.use_case.feature_table, pl.String()),
        "feature_version": (everybody.version, pl.Int32()),
        "as_of": (everybody.as_of, pl.Datetime("us")),
        "predicted_at": (now, pl.Datetime("us")),
    }
    return pl.DataFrame(columns).with_columns(
        pl.lit(value, dtype=dtype).alias(name) for name, (value, dtype) in traced.items()
    )


def _series(name: str, column: Array) -> pl.Series:
    """An output in one type whatever its values: whole numbers, numbers or text, or lists of one of them."""
    if column.dtype == object and len(column) and isinstance(column[0], np.ndarray):
        kind = {"i": pl.Int64(), "f": pl.Float64()}.get(column[0].dtype.kind, pl.String())
        return pl.Series(name, [row.tolist() for row in column], dtype=pl.List(kind))
    kind = {"i": pl.Int64(), "f": pl.Float64()}.get(column.dtype.kind, pl.String())
    return pl.Series(name, column.tolist(), dtype=kind)


def _suffix(output: str) -> str:
    suffix = PurePosixPath(output).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ConfigurationError(f"{output!r} is neither .csv nor .parquet: name a file that ends so")
    return suffix
