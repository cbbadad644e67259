"""A model's inputs and options, read back from the prediction log's records: what the champion was asked with."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from grpc_server.call import Array
from grpc_server.online_features import FeatureSnapshot
from grpc_server.recommend_options import RecommendOptions, lake_id
from grpc_server.recommend_work import histories
from training import tabular
from training.columns import object_array
from training.recommend_request import DEFAULT_K, as_of_day
from training.use_case import Columns, UseCase

Record = Mapping[str, Any]
LISTS = ("categories", "exclude_product_ids")
TEXTS = ("country", "campaign_id")


def inputs(
    records: Sequence[Record], use_case: UseCase, snapshot: FeatureSnapshot | None, products: FeatureSnapshot | None
) -> Columns:
    """The inputs of all records' answers, one after the other; NaN where the champion took its own training default."""
    if use_case.features:
        names = tuple(feature.name for feature in use_case.features)
        matrix = np.array([_numbers(records, name) for name in names]).T
        for row, defaults in enumerate(_each(records, "default_features")):
            matrix[row, [names.index(name) for name in defaults]] = np.nan
        return tabular.Rows(np.ascontiguousarray(matrix), names)
    ids = _ids(records)
    positions = snapshot.positions(ids) if snapshot else np.full(len(ids), -1)
    recent = _column(records, "recent_product_ids", ())
    asked = [RecommendOptions(recent_product_ids=tuple(products)) for products in recent]
    return histories(snapshot, positions, asked, products)


def options(records: Sequence[Record], use_case: UseCase) -> dict[str, Array]:
    """The options of all records' answers."""
    return {name: _option(records, name) for name in use_case.options}


def _option(records: Sequence[Record], name: str) -> Array:
    if name == "product_id":
        return _ids(records)
    if name == "as_of_day":
        days = [as_of_day(datetime.fromisoformat(one["as_of"])) if one["as_of"] else np.nan for one in records]
        return np.repeat(days, [len(one["ids"]) for one in records])
    if name == "k":
        return np.array(_column(records, name, DEFAULT_K), dtype=np.int64)
    if name in LISTS:
        return object_array([list(values) for values in _column(records, name, ())])
    return object_array(_column(records, name, "")) if name in TEXTS else _numbers(records, name)


def _ids(records: Sequence[Record]) -> Array:
    return np.array([lake_id(entity) for entity in _each(records, "entity_ids")], dtype=np.int64)


def _each(records: Sequence[Record], key: str) -> list[Any]:
    return [value for record in records for value in record[key]]


def _numbers(records: Sequence[Record], name: str) -> Array:
    return np.array(_column(records, name, None), dtype=np.float64)


def _column(records: Sequence[Record], name: str, absent: Any) -> list[Any]:
    """A logged column of all answers; `absent` where it was not logged, or without a value."""
    found: list[Any] = []
    for record in records:
        values = record["columns"].get(name) or [None] * len(record["ids"])
        found += [absent if value is None else value for value in values]
    return found
