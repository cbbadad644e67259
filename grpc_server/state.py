"""What a worker answers from: models and feature snapshots, swapped as one pointer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from grpc_server.online_features import FeatureSnapshot
from training.campaigns import CampaignTable
from training.use_case import Model, UseCase

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A loaded, verified model; `warnings` are the codes that are true of every answer it gives."""

    use_case: UseCase
    model: Model
    version: int
    alias: str
    kind: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    created_at: str
    warnings: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The model's inputs, in order."""
        return tuple(feature.name for feature in self.use_case.features)

    @cached_property
    def defaults(self) -> Array:
        """What each input is where nothing else is known."""
        return np.array([self.model.defaults.get(name, np.nan) for name in self.names])

    @cached_property
    def overridable(self) -> Array:
        """Whether a request may give each input."""
        return np.array([feature.override for feature in self.use_case.features], dtype=bool)


@dataclass(frozen=True, kw_only=True)
class Challenger:
    """A model on trial: it answers `percent` % of the customers, or with 0 is scored beside the champion (shadow)."""

    served: ServedModel
    percent: int


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a version that an alias names does not answer."""

    use_case: str
    alias: str
    version: int
    reason: str


@dataclass(frozen=True)
class State:
    """All that one call sees: it takes the pointer once, so a swap never changes a call half way.

    models: by use case, only those that have one; features: by gold table; challengers: by use case.
    precomputed: by use case and version, a table of answers with one row for each of the snapshot, named as outputs.
    """

    models: Mapping[str, ServedModel] = field(default_factory=dict)
    features: Mapping[str, FeatureSnapshot] = field(default_factory=dict)
    campaigns: CampaignTable | None = None
    challengers: Mapping[str, Challenger] = field(default_factory=dict)
    refused: Sequence[Refusal] = ()
    precomputed: Mapping[tuple[str, int], Array] = field(default_factory=dict)


class StateHolder:
    """The pointer to the current state; old states live on until their last call ends.

    `loaded` is False until the first state is there: the server is starting. `serving` is the folder in which the
    server's workers say what they answer with.
    """

    def __init__(self, serving: Path | None = None) -> None:
        self.serving = serving
        self.current = State()
        self.loaded = False
        self._callbacks: list[Callable[[State], None]] = []

    def on_swap(self, callback: Callable[[State], None]) -> None:
        """Call `callback` with each new state, and now with the current one."""
        self._callbacks.append(callback)
        callback(self.current)

    def swap(self, state: State) -> None:
        """Let all calls from now on see `state`."""
        self.current = state
        for callback in self._callbacks:
            callback(state)
        self.loaded = True
