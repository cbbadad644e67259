"""Between messages and the core: what all five services do alike."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf.message import Message
from shopsphere.v1 import common_pb2

from grpc_server.call import Answers, Array, Call
from grpc_server.checks import MAX_ITEMS
from grpc_server.errors import CallError, Violation, invalid
from grpc_server.online_features import FeatureSnapshot

WARNINGS = {
    "baseline": "The use case's simple baseline answers: no model has beaten it yet.",
    "cold_start": "The customer has no history: the most popular products are answered.",
    "no_products_left": "No product of the catalogue passes the filters.",
    "trained_after_as_of": "The model was trained on data from after the served date.",
    "campaign_ended": "No campaign is live: the last one that ended is used.",
    "revenue_inconsistent": "The given revenue is far from avg_price times units.",
    "not_logged": "The prediction log has no row of this answer: it is not in the sample, or the log takes none now.",
    "defaults_used": "Neither request nor lake had a value for some inputs: their training defaults are used.",
}


def call(use_case: str, entity_id: str, request: Any, *, features: bool = True, **more: Any) -> Call:
    """What a unary request asks; `features` says whether it can have them, `more` are further fields of the call."""
    has = request.HasField
    return Call(
        use_case=use_case,
        entity_ids=(entity_id,),
        overrides=given([request.features]) if features and has("features") else {},
        explain=request.view == common_pb2.VIEW_FULL,
        max_ages=max_ages([request]) if has("max_feature_age") else (),
        **more,
    )


def given(messages: Sequence[Message]) -> dict[str, Array]:
    """The set fields of feature messages as columns, NaN where absent.

    A NaN that was given becomes infinite, which no feature may be.
    """
    columns: dict[str, Array] = {}
    for row, message in enumerate(messages):
        for descriptor, value in message.ListFields():
            column = columns.setdefault(descriptor.name, np.full(len(messages), np.nan))
            column[row] = np.inf if math.isnan(value) else value
    return columns


def batch_ids(request: Any, key: str, *, per_item: Sequence[str] = ()) -> list[str]:
    """The ids of a batch, given as such or in rows; fields named `per_item` have a value for each id, or none.

    Raises:
        CallError: all that is wrong with the batch's form.
    """
    ids, rows = getattr(request, f"{key}s"), request.requests
    count = len(ids) or len(rows)
    wrong: list[Violation | None] = []
    if not 1 <= count <= MAX_ITEMS:
        wrong.append(Violation(f"{key}s", f"must be 1 to {MAX_ITEMS} items, not {count}"))
    for field, value in request.ListFields():
        if rows and field.name != "requests":
            wrong.append(Violation(field.name, "must be empty where requests are given: each has its own"))
        elif field.name == "columns":
            columns = value.ListFields()
            wrong += [_length(f"columns.{name.name}", len(values), count) for name, values in columns]
        elif field.name in per_item:
            wrong.append(_length(field.name, len(value), count))
    if listed := [violation for violation in wrong if violation]:
        raise invalid(listed)
    return list(ids) or [getattr(row, key) for row in rows]


def _length(name: str, length: int, count: int) -> Violation | None:
    if length == count:
        return None
    return Violation(name, f"has {length} values for {count} ids: give one for each, or none")


def packed(message: Message) -> dict[str, Array]:
    """The packed columns of a batch."""
    return {
        descriptor.name: np.where(np.isnan(column := np.array(values, dtype=np.float64)), np.inf, column)
        for descriptor, values in message.ListFields()
    }


def overrides(request: Any) -> dict[str, Array]:
    """The features that a batch gives, in either form."""
    rows = request.requests
    return given([row.features for row in rows]) if rows else packed(request.columns)


def max_ages(requests: Sequence[Any]) -> Sequence[float]:
    """How old features may be for each request, in seconds; empty where none says so."""
    if not any(request.HasField("max_feature_age") for request in requests):
        return ()
    return [
        request.max_feature_age.seconds + request.max_feature_age.nanos / 1e9
        if request.HasField("max_feature_age")
        else math.inf
        for request in requests
    ]


def optional(messages: Sequence[Message], name: str) -> Array | None:
    """An optional number of each message, NaN where absent, infinite where it was given as NaN; None without any."""
    if not any(message.HasField(name) for message in messages):
        return None
    found = [getattr(message, name) if message.HasField(name) else None for message in messages]
    return np.array(
        [np.nan if value is None else np.inf if math.isnan(value) else value for value in found], dtype=float
    )


def trace(metadata: common_pb2.PredictionMetadata, answers: Answers) -> None:
    """Fill in what a unary answer can be traced by."""
    given, default, codes = answers.request_features[0], answers.default_features[0], answers.warnings[0]
    metadata.CopyFrom(_origin(_of(answers, answers.known[0]), tuple(given), tuple(default), tuple(codes)))
    metadata.prediction_id = answers.prediction_id(0)


def batch_metadata(answers: Answers) -> common_pb2.BatchMetadata:
    """What the answers of a batch can be traced by."""
    shared = [code for code in answers.warnings[0] if all(code in others for others in answers.warnings)]
    common = _origin(_of(answers, True), (), (), tuple(shared))
    return common_pb2.BatchMetadata(
        batch_id=answers.batch_id,
        model=common.model,
        data=common.data if common.HasField("data") else None,
        warnings=common.warnings,
        challenger=_challenger(answers),
        challenger_items=answers.challenger_items,
    )


def _challenger(answers: Answers) -> common_pb2.ModelVersion | None:
    if (served := answers.challenger) is None:
        return None
    return common_pb2.ModelVersion(name=served.use_case.name, version=served.version, alias=served.alias)


def add_results(results: Any, answers: Answers, columns: Mapping[str, Sequence[Any]]) -> None:
    """Add a batch's results to their field, each with its entry of the columns; one that has an error has no more.

    The first column is the id. A message built in its place costs half of one that is copied there.
    """
    key = next(iter(columns))
    for item, error in enumerate(answers.errors):
        if error is None:
            results.add(**{name: values[item] for name, values in columns.items()})
        else:
            results.add(**{key: columns[key][item]}, error=item_error(error))


def item_error(error: CallError) -> common_pb2.ItemError:
    """One item's error."""
    return common_pb2.ItemError(code=error.number, reason=error.reason, message=error.message)


def data_version(snapshot: FeatureSnapshot | None) -> common_pb2.DataVersion | None:
    """The state of the lake behind a snapshot."""
    return None if snapshot is None else _data_version(snapshot.table, snapshot.version, snapshot.as_of)


def _data_version(table: str, number: int, as_of: datetime) -> common_pb2.DataVersion:
    version = common_pb2.DataVersion(table=table, version=number)
    version.as_of.FromDatetime(as_of)
    return version


def contributions(answers: Answers) -> list[common_pb2.FeatureContribution]:
    """How much each input moved the answer, largest first; empty unless asked for."""
    return [common_pb2.FeatureContribution(**entry) for entry in answers.explanation.get("contributions", [])]


def base_value(answers: Answers) -> float | None:
    """What the contributions add up from; None unless asked for, or where they do not add up."""
    value: float | None = answers.explanation.get("base_value")
    return value


Origin = tuple[str, int, str, tuple[str, int, datetime] | None]
"""A model's name, version and alias, and the table, version and as_of of the features."""


def _of(answers: Answers, known: bool) -> Origin:
    served, snapshot = answers.served, answers.snapshot
    data = (snapshot.table, snapshot.version, snapshot.as_of) if snapshot and known else None
    return served.use_case.name, served.version, served.alias, data


@lru_cache(maxsize=1024)
def _origin(
    origin: Origin, request_features: tuple[str, ...], default_features: tuple[str, ...], codes: tuple[str, ...]
) -> common_pb2.PredictionMetadata:
    """What most answers have in common; to copy it costs less than to make it."""
    name, version, alias, data = origin
    return common_pb2.PredictionMetadata(
        model=common_pb2.ModelVersion(name=name, version=version, alias=alias),
        data=_data_version(*data) if data else None,
        request_features=request_features,
        default_features=default_features,
        warnings=warnings(codes),
    )


def warnings(codes: Iterable[str]) -> list[common_pb2.Warning]:
    """Codes with a sentence each."""
    return [common_pb2.Warning(code=code, message=WARNINGS.get(code, code)) for code in codes]
