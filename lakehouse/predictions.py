"""The prediction log: every answer of a server, committed to the Delta table `predictions` exactly once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from lakehouse.storage import Lake

PREDICTIONS = "predictions"
WHOLE = ("challenger_version",)
LISTS = ("request_features", "default_features", "warnings")


def append_records(lake: Lake, records: Sequence[Mapping[str, Any]], *, app_id: str, sequence: int) -> int:
    """Append columnar records in one commit and give the number of rows; 0 where that transaction is there already.

    Numbers become Float64, text String, lists lists of whole numbers, numbers or text; a column of which no value is
    known is left out.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if record["ids"]:
            groups.setdefault(record["use_case"], []).append(record)
    if not groups:
        return 0
    rows = pl.concat([_frame(group) for group in groups.values()], how="diagonal")
    new = lake.append(PREDICTIONS, rows, app={app_id: sequence}, partition_by="use_case")
    return rows.height if new else 0


def _frame(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The rows of one use case: column by column, as a frame per record would take a hundred times as long."""
    counts = [len(record["ids"]) for record in records]
    places = np.repeat(np.arange(len(records)), counts)

    def repeated(name: str, dtype: pl.DataType, convert: Callable[[Any], Any] = lambda value: value) -> pl.Series:
        return pl.Series(name, [convert(record[name]) for record in records], dtype=dtype).gather(places)

    def listed(name: str, values: str, dtype: pl.DataType) -> pl.Series:
        return pl.Series(name, [value for record in records for value in record[values]], dtype=dtype)

    fixed = [
        listed("prediction_id", "ids", pl.String()),
        listed("entity_id", "entity_ids", pl.String()),
        *(repeated(name, pl.String()) for name in ("use_case", "model_name", "alias", "feature_table")),
        *(repeated(name, pl.Int32()) for name in ("model_version", "feature_version")),
        *(repeated(name, pl.Datetime("us"), _naive) for name in ("as_of", "predicted_at")),
        *(_few_lists(name, [value for record in records for value in record[name]]) for name in LISTS),
    ]
    names = dict.fromkeys(name for record in records for name in record["columns"])
    own = (_column(name, _values(name, records, counts)) for name in names)
    return pl.DataFrame([*fixed, *(column for column in own if column is not None)])


def _few_lists(name: str, values: Sequence[Sequence[str]]) -> pl.Series:
    """Lists of text of which few differ: Polars takes each list from Python on its own, which is most of a commit."""
    places: dict[tuple[str, ...], int] = {}
    codes = [places.setdefault(tuple(value), len(places)) for value in values]
    return pl.Series(name, [list(value) for value in places], dtype=pl.List(pl.String)).gather(codes)


def _values(name: str, records: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> list[Any]:
    found: list[Any] = []
    for record, count in zip(records, counts, strict=True):
        values = record["columns"].get(name)
        found += [None] * count if values is None else values
    return found


def _column(name: str, values: Sequence[Any]) -> pl.Series | None:
    """A column in the one type that its kind of value has in the log, so that all records agree."""
    first = next((value for value in values if value is not None), None)
    if first is None:
        return None
    if isinstance(first, (list, tuple)):
        return _lists(name, values)
    if isinstance(first, str):
        return pl.Series(name, values, dtype=pl.String)
    if name in WHOLE:
        return pl.Series(name, values, dtype=pl.Int32)
    return pl.Series(name, values, dtype=pl.Float64, strict=False).fill_nan(None)


def _lists(name: str, values: Sequence[Sequence[Any] | None]) -> pl.Series | None:
    """Lists of any lengths, put together by Polars from all of their items; None where all are empty."""
    inner = [item for value in values if value is not None for item in value]
    if not inner:
        return None
    lengths = pl.Series([None if value is None else len(value) for value in values], dtype=pl.UInt32)
    rows = pl.DataFrame({"row": np.arange(len(values)), "length": lengths})
    items = pl.DataFrame(
        {"row": np.repeat(rows["row"].to_numpy(), lengths.fill_null(0).to_numpy()), name: inner},
        schema_overrides={name: _scalar(inner)},
    )
    lists = items.group_by("row", maintain_order=True).agg(name)
    empty = pl.when(pl.col("length") == 0).then(pl.lit([], dtype=lists.schema[name]))
    found = rows.join(lists, on="row", how="left", maintain_order="left")
    return found.select(pl.coalesce(name, empty).alias(name)).to_series()


def _scalar(items: Sequence[Any]) -> pl.DataType:
    if isinstance(items[0], str):
        return pl.String()
    return pl.Int64() if all(isinstance(item, int) for item in items) else pl.Float64()


def _naive(value: str | None) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
