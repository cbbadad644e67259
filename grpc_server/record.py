"""What the prediction log keeps of a call's answers: one columnar record, whether it is one answer or a batch."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from grpc_server.call import Answers, Call


def line(answers: Answers, call: Call, columns: Mapping[str, Sequence[Any]], items: Sequence[int]) -> bytes:
    """The record of the call's `items` as a line without its end; `columns` hold what is logged of each of them."""
    served, snapshot = answers.served, answers.snapshot
    record = {
        "ids": [answers.prediction_id(call.numbers[item] if call.numbers else item) for item in items],
        "entity_ids": [call.entity_ids[item] for item in items],
        "use_case": served.use_case.name,
        "model_name": served.use_case.name,
        "model_version": served.version,
        "alias": served.alias,
        "feature_table": snapshot.table if snapshot else None,
        "feature_version": snapshot.version if snapshot else None,
        "as_of": snapshot.as_of if snapshot else None,
        "predicted_at": datetime.now(UTC).replace(tzinfo=None),
        "columns": columns,
        "request_features": [answers.request_features[item] for item in items],
        "default_features": [answers.default_features[item] for item in items],
        "warnings": [answers.warnings[item] for item in items],
    }
    return orjson.dumps(record)
