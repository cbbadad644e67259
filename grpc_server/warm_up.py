"""A model's first answers, before anybody waits for them: about rows of the snapshot, and what was asked lately."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grpc_server import shadow_rows
from grpc_server.call import Call
from grpc_server.metrics import Metrics
from grpc_server.prediction_log import PredictionLog
from grpc_server.predictor import Predictor
from grpc_server.recommend_work import PRODUCTS
from grpc_server.shadow_rows import Record
from grpc_server.state import ServedModel, State, StateHolder
from training.artifact import ArtifactError

ROWS = 16
RECORDS = 64


class _Nowhere(PredictionLog):
    """A log that keeps nothing."""

    def append(self, line: bytes) -> bool:
        """Take it, and forget it."""
        return True


def unlogged(state: State) -> Predictor:
    """The predictor of a state, whose answers nobody waits for: they are neither logged nor counted."""
    holder = StateHolder()
    holder.swap(state)
    return Predictor(holder, _Nowhere(Path()), Metrics(holder))


def warm_up(served: ServedModel, state: State, recent: Sequence[Record] = ()) -> None:
    """Let a model answer calls, one by one and as a batch, so that its first real one is no slower than the rest.

    Then what the use case was asked in the newest of the `recent` records, with all their options. Nothing is logged.

    Raises:
        ArtifactError: an answer is no number.
    """
    use_case = served.use_case
    snapshot = state.features.get(use_case.feature_table)
    ids = snapshot.arrays()[snapshot.key] if snapshot else np.empty(0)
    chosen = [str(ids[place]) for place in np.linspace(0, len(ids) - 1, min(ROWS, len(ids))).astype(int)]
    predictor = unlogged(State({use_case.name: served}, state.features, state.campaigns))
    for asked in [[entity] for entity in chosen] + [chosen] * bool(chosen):
        answers = predictor.predict(Call(use_case=use_case.name, entity_ids=asked)).outputs[use_case.outputs[0]]
        if any(isinstance(answer, float) and not np.isfinite(answer) for answer in answers):
            raise ArtifactError(f"it answers no number about a {use_case.entity} of the lake: train the model again")
    if asked_lately := [one for one in recent if one["use_case"] == use_case.name][-RECORDS:]:
        products = state.features.get(PRODUCTS)
        inputs = shadow_rows.inputs(asked_lately, use_case, snapshot, products)
        served.model.predict(inputs, shadow_rows.options(asked_lately, use_case))
