"""The core of every call, unary or batch, gRPC or REST: validate, look up, predict, log, answer."""

import math
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count

from grpc_server import checks, record
from grpc_server.call import Answers, Call
from grpc_server.canary import Side, canaries
from grpc_server.errors import CallError, no_champion, starting
from grpc_server.metrics import Metrics
from grpc_server.online_features import FeatureSnapshot
from grpc_server.prediction_log import PredictionLog
from grpc_server.recommend_work import RecommendWork
from grpc_server.single import singles
from grpc_server.state import State, StateHolder
from grpc_server.tabular_work import TabularWork
from training.use_cases import get


class Predictor:
    """Answers calls from the holder's current state and logs every answer before it goes out."""

    def __init__(self, holder: StateHolder, log: PredictionLog, metrics: Metrics) -> None:
        self._holder = holder
        self._log = log
        self._metrics = metrics
        self._own = secrets.token_hex(10)
        self._calls = count()
        holder.on_swap(self._prepare)

    def predict(self, call: Call) -> Answers:
        """Answer all items of a call.

        Raises:
            CallError: there is no champion.
        """
        batch_id = f"{self._own}{next(self._calls):012x}"
        side, canaries_now = self._now
        canary = canaries_now.get(call.use_case)
        return (canary.answer if canary else self._answer)(call, batch_id, side)

    def _prepare(self, state: State) -> None:
        # one assignment: a call must not see a side of one state and a canary of another
        self._now = self._side_of(state), canaries(state, self._side_of, self._answer)

    def _side_of(self, state: State) -> Side:
        return Side(state, singles(state, self._metrics.observe_model))

    def _answer(self, call: Call, batch_id: str, side: Side) -> Answers:
        single = side.singles.get(call.use_case) if call.plain else None
        answered = single.answer(call, batch_id) if single else None
        if single is None or answered is None:
            return self._work(call, batch_id, side.state)
        answers, names, row = answered
        self._write(answers, partial(record.line_of_one, answers, call, single.origin, names, row))
        return answers

    def _work(self, call: Call, batch_id: str, state: State) -> Answers:
        use_case = get(call.use_case)
        errors = checks.violations(use_case, call)
        served = state.models.get(use_case.name)
        if served is None:
            if errors[0] is not None and len(errors) == 1:
                raise errors[0]
            raise no_champion(use_case.name) if self._holder.loaded else starting()
        snapshot = state.features.get(use_case.feature_table)
        _check_ages(call, snapshot, errors)
        kind = TabularWork if use_case.features else RecommendWork
        work = kind(use_case=use_case, served=served, snapshot=snapshot, state=state, call=call, errors=errors)
        work.run()
        if work.model_seconds:
            self._metrics.observe_model(use_case.name, work.model_seconds)
        answers = work.answers(batch_id)
        if work.valid:
            self._write(answers, partial(record.line, answers, call, work.logged, work.valid))
        return answers

    def _write(self, answers: Answers, line: Callable[[], bytes]) -> None:
        kept = self._log.sampled(answers.served.use_case.name, answers.batch_id)
        if not (kept and self._log.append(line())):
            for warnings in answers.warnings:
                warnings.append("not_logged")


def _check_ages(call: Call, snapshot: FeatureSnapshot | None, errors: list[CallError | None]) -> None:
    """Set an error for the valid items that ask for newer features than there are."""
    now = datetime.now(UTC).replace(tzinfo=None)
    age = (now - snapshot.as_of).total_seconds() if snapshot else math.inf
    for item, accepted in enumerate(call.max_ages):
        if age > accepted and errors[item] is None:
            known = f"are as of {snapshot.as_of}" if snapshot else "do not exist"
            errors[item] = CallError(
                "FAILED_PRECONDITION", "FEATURES_TOO_OLD", f"the features {known}, older than asked"
            )
