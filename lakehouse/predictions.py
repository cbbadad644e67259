"""The prediction log: every answer of a server, committed to the Delta table `predictions` exactly once."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.storage import Lake

PREDICTIONS = "predictions"
LISTS = ("request_features", "default_features", "warnings")


def append_records(lake: Lake, records: Sequence[Mapping[str, Any]], *, app_id: str, sequence: int) -> int:
    """Append columnar records in one commit and give the number of rows; 0 where that transaction is there already.

    Numbers become Float64, text String, lists lists of whole numbers, numbers or text; a column of which no value is
    known is left out.
    """
    frames = [_frame(record) for record in records if record["ids"]]
    if not frames:
        return 0
    rows = pl.concat(frames, how="diagonal")
    new = lake.append(PREDICTIONS, rows, app={app_id: sequence}, partition_by="use_case")
    return rows.height if new else 0


def _frame(record: Mapping[str, Any]) -> pl.DataFrame:
    count = len(record["ids"])

    def repeated(name: str, dtype: pl.DataType) -> pl.Series:
        return pl.Series(name, [record[name]] * count, dtype=dtype)

    def moment(name: str) -> pl.Series:
        return pl.Series(name, [_naive(record[name])] * count, dtype=pl.Datetime("us"))

    text, number = pl.String(), pl.Int32()
    fixed = [
        pl.Series("prediction_id", record["ids"], dtype=text),
        repeated("use_case", text),
        pl.Series("entity_id", record["entity_ids"], dtype=text),
        repeated("model_name", text),
        repeated("model_version", number),
        repeated("alias", text),
        repeated("feature_table", text),
        repeated("feature_version", number),
        moment("as_of"),
        moment("predicted_at"),
        *(pl.Series(name, record[name], dtype=pl.List(pl.String)) for name in LISTS),
    ]
    own = (_column(name, values) for name, values in record["columns"].items())
    return pl.DataFrame([*fixed, *(column for column in own if column is not None)])


def _column(name: str, values: Sequence[Any]) -> pl.Series | None:
    """A column in the one type that its kind of value has in the log, so that all records agree."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if isinstance(known[0], (list, tuple)):
        inner = [item for value in known for item in value]
        if not inner:
            return None
        return pl.Series(name, values, dtype=pl.List(_scalar(inner, whole=True)))
    if isinstance(known[0], str):
        return pl.Series(name, values, dtype=pl.String)
    numbers = [None if value is None or math.isnan(value) else float(value) for value in values]
    return pl.Series(name, numbers, dtype=pl.Float64)


def _scalar(items: Sequence[Any], *, whole: bool) -> pl.DataType:
    if isinstance(items[0], str):
        return pl.String()
    return pl.Int64() if whole and all(isinstance(item, int) for item in items) else pl.Float64()


def _naive(value: str | None) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
