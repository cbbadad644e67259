"""Between messages and the core: what all five services do alike."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf.message import Message
from shopsphere.v1 import common_pb2

from grpc_server.call import Answers, Array
from grpc_server.errors import CallError, Violation, invalid
from grpc_server.online_features import FeatureSnapshot

WARNINGS = {
    "baseline": "The use case's simple baseline answers: no model has beaten it yet.",
    "cold_start": "The customer has no history: the most popular products are answered.",
    "no_products_left": "No product of the catalogue passes the filters.",
    "trained_after_as_of": "The model was trained on data from after the served date.",
    "campaign_ended": "No campaign is live: the last one that ended is used.",
    "revenue_inconsistent": "The given revenue is far from avg_price times units.",
    "defaults_used": "Neither request nor lake had a value for some inputs: their training defaults are used.",
}


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


def packed(message: Message, count: int) -> dict[str, Array]:
    """The packed columns of a batch, each of the batch's length.

    Raises:
        CallError: a column has another length.
    """
    columns: dict[str, Array] = {}
    wrong = []
    for descriptor, values in message.ListFields():
        if len(values) != count:
            wrong.append(Violation(f"columns.{descriptor.name}", f"has {len(values)} values for {count} ids"))
            continue
        column = np.array(values, dtype=np.float64)
        columns[descriptor.name] = np.where(np.isnan(column), np.inf, column)
    if wrong:
        raise invalid(wrong)
    return columns


def optional(messages: Iterable[Message], name: str) -> Array:
    """An optional number of each message, NaN where absent, infinite where it was given as NaN."""
    found = [getattr(message, name) if message.HasField(name) else None for message in messages]
    return np.array(
        [np.nan if value is None else np.inf if math.isnan(value) else value for value in found], dtype=float
    )


def one_form(ids: Sequence[str], requests: Sequence[Message]) -> None:
    """A batch is either ids or requests.

    Raises:
        CallError: both are given.
    """
    if ids and requests:
        raise invalid([Violation("requests", "must be empty where ids are given: a batch is one or the other")])


def max_age(request: Any) -> float | None:
    """The oldest features that the caller accepts, in seconds."""
    return request.max_feature_age.ToTimedelta().total_seconds() if request.HasField("max_feature_age") else None


def explains(request: Any) -> bool:
    """Whether an explanation is wanted."""
    return bool(request.view == common_pb2.VIEW_FULL)


def metadata(answers: Answers) -> common_pb2.PredictionMetadata:
    """What a unary answer can be traced by."""
    return common_pb2.PredictionMetadata(
        prediction_id=answers.prediction_id(0),
        model=_model(answers),
        data=data_version(answers.snapshot),
        request_features=answers.request_features[0],
        default_features=answers.default_features[0],
        warnings=warnings(answers.warnings[0]),
    )


def batch_metadata(answers: Answers) -> common_pb2.BatchMetadata:
    """What the answers of a batch can be traced by."""
    return common_pb2.BatchMetadata(
        batch_id=answers.batch_id,
        model=_model(answers),
        data=data_version(answers.snapshot),
        warnings=warnings(answers.served.warnings),
    )


def item_error(error: CallError | None) -> common_pb2.ItemError | None:
    """One item's error."""
    return (
        None if error is None else common_pb2.ItemError(code=error.number, reason=error.reason, message=error.message)
    )


def data_version(snapshot: FeatureSnapshot | None) -> common_pb2.DataVersion | None:
    """The state of the lake behind a snapshot."""
    return None if snapshot is None else _data_version(snapshot.table, snapshot.version, snapshot.as_of)


@lru_cache(maxsize=64)
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


def _model(answers: Answers) -> common_pb2.ModelVersion:
    served = answers.served
    return _model_version(served.use_case.name, served.version, served.alias)


@lru_cache(maxsize=64)
def _model_version(name: str, number: int, alias: str) -> common_pb2.ModelVersion:
    return common_pb2.ModelVersion(name=name, version=number, alias=alias)


def warnings(codes: Iterable[str]) -> list[common_pb2.Warning]:
    """Codes with a sentence each."""
    return [common_pb2.Warning(code=code, message=WARNINGS.get(code, code)) for code in codes]
