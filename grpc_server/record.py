"""What the prediction log keeps of a call's answers: one columnar record, whether it is one answer or a batch."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from grpc_server.call import Answers, Call
from grpc_server.online_features import FeatureSnapshot
from grpc_server.state import ServedModel


def origin(served: ServedModel, snapshot: FeatureSnapshot | None) -> dict[str, Any]:
    """What the records of a model and a snapshot have in common."""
    return {
        "use_case": served.use_case.name,
        "model_name": served.use_case.name,
        "model_version": served.version,
        "alias": served.alias,
        "feature_table": snapshot.table if snapshot else None,
        "feature_version": snapshot.version if snapshot else None,
        "as_of": snapshot.as_of.isoformat() if snapshot else None,
    }


def line(answers: Answers, call: Call, columns: Mapping[str, Sequence[Any]], items: Sequence[int]) -> bytes:
    """The record of the call's `items` as a line without its end; `columns` hold what is logged of each of them."""
    record = {
        **origin(answers.served, answers.snapshot),
        "ids": [answers.prediction_id(call.numbers[item] if call.numbers else item) for item in items],
        "entity_ids": [call.entity_ids[item] for item in items],
        "predicted_at": _now(),
        "columns": columns,
        "request_features": [answers.request_features[item] for item in items],
        "default_features": [answers.default_features[item] for item in items],
        "warnings": [answers.warnings[item] for item in items],
    }
    return orjson.dumps(record)


def line_of_one(
    answers: Answers, call: Call, common: Mapping[str, Any], names: Sequence[str], row: Sequence[Any]
) -> bytes:
    """The same for a call of one item, whose `names` are logged with the values of `row`; `common` is its origin."""
    record = {
        **common,
        "ids": (answers.prediction_id(call.numbers[0] if call.numbers else 0),),
        "entity_ids": call.entity_ids,
        "predicted_at": _now(),
        "names": names,
        "row": row,
        "request_features": answers.request_features,
        "default_features": answers.default_features,
        "warnings": answers.warnings,
    }
    return orjson.dumps(record)


def read(line: bytes) -> dict[str, Any]:
    """The record of either kind of line, with `columns`.

    Raises:
        orjson.JSONDecodeError: it is damaged.
    """
    record: dict[str, Any] = orjson.loads(line)
    if "row" in record:
        values = zip(record.pop("names"), record.pop("row"), strict=True)
        record["columns"] = {name: [value] for name, value in values}
    return record


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
