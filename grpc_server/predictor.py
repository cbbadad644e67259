"""The core of every call, unary or batch, gRPC or REST: validate, look up, predict, log, answer."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from grpc_server import checks
from grpc_server.call import Answers, Array, Call
from grpc_server.errors import CallError, no_champion, starting
from grpc_server.metrics import Metrics
from grpc_server.online_features import FeatureSnapshot
from grpc_server.prediction_log import PredictionLog, SpoolError
from grpc_server.state import StateHolder
from grpc_server.work import Work
from training.use_cases import get


class Predictor:
    """Answers calls from the holder's current state and logs every answer before it goes out."""

    def __init__(self, holder: StateHolder, log: PredictionLog, metrics: Metrics) -> None:
        self._holder = holder
        self._log = log
        self._metrics = metrics

    def predict(self, call: Call) -> Answers:
        """Answer all items of a call.

        Raises:
            CallError: there is no champion, the features are too old, or the log cannot take the answers.
        """
        use_case = get(call.use_case)
        errors = checks.violations(use_case, call)
        state = self._holder.current
        served = state.models.get(use_case.name)
        if served is None:
            if errors[0] is not None and len(errors) == 1:
                raise errors[0]
            raise no_champion(use_case.name) if self._holder.loaded else starting()
        snapshot = state.features.get(use_case.feature_table)
        self._check_age(call, snapshot)
        work = Work(use_case=use_case, served=served, snapshot=snapshot, state=state, call=call, errors=errors)
        work.run()
        answers = work.answers()
        self._write(answers, work)
        return answers

    def _check_age(self, call: Call, snapshot: FeatureSnapshot | None) -> None:
        if call.max_age_seconds is None:
            return
        now = datetime.now(UTC).replace(tzinfo=None)
        if snapshot is None or (now - snapshot.as_of).total_seconds() > call.max_age_seconds:
            known = f"are as of {snapshot.as_of}" if snapshot else "do not exist"
            raise CallError("FAILED_PRECONDITION", "FEATURES_TOO_OLD", f"the features {known}, older than asked")

    def _write(self, answers: Answers, work: Work) -> None:
        rows = work.valid.tolist()
        if not rows:
            return
        served, snapshot = answers.served, answers.snapshot
        record = {
            "ids": [answers.prediction_id(item) for item in rows],
            "entity_ids": [work.call.entity_ids[item] for item in rows],
            "use_case": work.use_case.name,
            "model_name": work.use_case.name,
            "model_version": served.version,
            "alias": served.alias,
            "feature_table": snapshot.table if snapshot else None,
            "feature_version": snapshot.version if snapshot else None,
            "as_of": snapshot.as_of.isoformat() if snapshot else None,
            "predicted_at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
            "columns": {name: _plain(values) for name, values in work.logged.items()},
            "request_features": [answers.request_features[item] for item in rows],
            "default_features": [answers.default_features[item] for item in rows],
            "warnings": [answers.warnings[item] for item in rows],
        }
        try:
            self._log.append(record)
        except SpoolError as error:
            self._metrics.log_dropped.inc(len(rows))
            raise CallError(
                "UNAVAILABLE",
                "LOG_UNAVAILABLE",
                "the prediction log cannot take the answer; try again",
                retry_seconds=1,
            ) from error


def _plain(values: Array) -> list[Any]:
    if values.dtype == object:
        return [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    plain: list[Any] = values.tolist()
    return plain
