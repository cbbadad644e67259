"""How a model does on parts of the test rows: by loyalty tier, tenure and country, where the rows have them."""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from training.evidence import Slice
from training.use_case import Dataset, Model, UseCase

ENOUGH_ROWS = 50
"""On fewer rows a metric says little."""
TENURES = (90.0, 365.0)


def slices(use_case: UseCase, model: Model, baseline: Model, data: Dataset) -> list[Slice]:
    """The primary metric of both models on every part that has enough rows and is not all of them."""
    metric = use_case.primary_metric
    found = []
    for name, rows in _parts(data.test):
        if ENOUGH_ROWS <= rows.height < data.test.height:
            part = replace(data, test=rows)
            ours, theirs = (use_case.evaluate(fitted, part)[metric] for fitted in (model, baseline))
            found.append(Slice(name=name, rows=rows.height, model=ours, baseline=theirs))
    return found


def _parts(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for column in ("loyalty_level", "country"):
        if column in rows.columns:
            for value in rows[column].unique().sort().to_list():
                name = f"{column} unknown" if value is None else f"{column} {value}"
                yield name, rows.filter(pl.col(column).eq_missing(value))
    if "tenure_days" in rows.columns:
        short, long = TENURES
        tenure = pl.col("tenure_days")
        yield f"customers for less than {short:.0f} days", rows.filter(tenure < short)
        yield (
            f"customers for {short:.0f} to {long:.0f} days",
            rows.filter(tenure.is_between(short, long, closed="left")),
        )
        yield f"customers for {long:.0f} days and more", rows.filter(tenure >= long)
