"""One call on its way: from what was asked to inputs, options and outputs; arrays with one entry per item."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from grpc_server.call import Answers, Call
from grpc_server.errors import CallError
from grpc_server.online_features import FeatureSnapshot
from grpc_server.recommend_options import lake_id
from grpc_server.state import ServedModel, State
from training.columns import plain
from training.use_case import Columns, UseCase

Lists = dict[str, list[Any]]


class Work(ABC):
    """A call and what has become of its items so far; a kind of use case has a kind of work."""

    def __init__(
        self,
        *,
        use_case: UseCase,
        served: ServedModel,
        snapshot: FeatureSnapshot | None,
        state: State,
        call: Call,
        errors: list[CallError | None],
    ) -> None:
        self.use_case, self.served, self.snapshot, self.state = use_case, served, snapshot, state
        self.call, self.errors = call, errors
        count = len(call.entity_ids)
        self.ids = np.array([lake_id(entity) for entity in call.entity_ids], dtype=np.int64)
        unknown = np.full(count, -1, dtype=np.int64)
        self.positions = snapshot.positions(self.ids) if snapshot else unknown
        self.campaign_ids = list(call.campaign_ids) or [""] * count
        self.warnings: list[list[str]] = [list(served.warnings) for _ in range(count)]
        self.request_features: list[list[str]] = [[] for _ in range(count)]
        self.default_features: list[list[str]] = [[] for _ in range(count)]
        self.outputs: Lists = {}
        self.logged: Lists = {}
        self.explanation: Mapping[str, Any] = {}
        self.model_seconds = 0.0

    @property
    def valid(self) -> list[int]:
        """The items without an error."""
        return [item for item, error in enumerate(self.errors) if error is None]

    @abstractmethod
    def run(self) -> None:
        """Predict the items that can be, and set errors, outputs, warnings and what is logged."""

    def answers(self, batch_id: str) -> Answers:
        """What the services turn into messages."""
        return Answers(
            batch_id=batch_id,
            served=self.served,
            snapshot=self.snapshot,
            outputs=self.outputs,
            errors=self.errors,
            campaign_ids=self.campaign_ids,
            request_features=self.request_features,
            default_features=self.default_features,
            warnings=self.warnings,
            explanation=self.explanation,
            known=(self.positions >= 0).tolist(),
        )

    def _ask(self, inputs: Columns, options: Columns) -> Lists:
        """The model's answers, and their explanation where it is wanted."""
        began = time.perf_counter()
        answered = self.served.model.predict(inputs, options)
        self.model_seconds = time.perf_counter() - began
        outputs = {name: plain(column) for name, column in answered.items()}
        if self.call.explain:
            self.explanation = self.use_case.explain(self.served.model, inputs, options)
        return outputs

    def _spread(self, column: list[Any], items: list[int]) -> list[Any]:
        """What there is of `items` at the places of all items."""
        if len(items) == len(self.errors):
            return column
        spread: list[Any] = [None] * len(self.errors)
        for item, value in zip(items, column, strict=True):
            spread[item] = value
        return spread
