"""Answers made before anybody asks: what a model says about every row of a snapshot, dropped by the follower.

A call that names a customer or a product and nothing else then costs a look into a table instead of a model. It is an
addition: until the table is there, and for every other call, the model is asked.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grpc_server.call import Array, Call
from grpc_server.champions import load_state, precomputed_path, read_pointer
from grpc_server.state import State
from grpc_server.warm_up import unlogged
from training.artifact import ArtifactError
from training.use_cases import get

logger = logging.getLogger(__name__)
ROWS = 500
SECONDS = 0.5
"""How long the follower computes before it looks at registry and lake again."""


class Precompute:
    """Computes what is missing, some rows at each look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._going: dict[str, Iterator[None]] = {}
        self._failed: set[str] = set()

    def look(self) -> dict[str, Any]:
        """The pointer's `precomputed`: the finished tables of what it says now."""
        pointer = read_pointer(self._folder) or {}
        wanted = {
            path: answering for answering in _answering(pointer) if (path := precomputed_path(pointer, *answering))
        }
        self._going = {path: going for path, going in self._going.items() if path in wanted}
        deadline = time.monotonic() + SECONDS
        for path, (name, version) in wanted.items():
            if path not in self._failed and not (self._folder / path).exists():
                self._going.setdefault(path, self._compute(self._folder / path, pointer, name, version))
                self._go_on(path, deadline)
        return {"precomputed": [path for path in wanted if (self._folder / path).exists()]}

    def _go_on(self, path: str, deadline: float) -> None:
        try:
            for _ in self._going[path]:
                if time.monotonic() > deadline:
                    return
        except FileNotFoundError:
            logger.info("%s was replaced while it was computed", path)
        except Exception:  # calls ask the model then, as they did so far
            logger.exception("%s cannot be computed", path)
            self._failed.add(path)
        del self._going[path]

    def _compute(self, path: Path, pointer: Mapping[str, Any], name: str, version: int) -> Iterator[None]:
        """Write the table, with a pause after every `ROWS` rows."""
        entries = [part[name] for part in (pointer["models"], pointer["challengers"]) if name in part]
        entry = next(entry for entry in entries if entry["version"] == version)
        alone = {**pointer, "models": {name: entry}, "challengers": {}, "refused": [], "precomputed": []}
        state = load_state(self._folder, alone, State())
        if name not in state.models:
            raise ArtifactError(f"version {version} of {name} is refused")
        predictor = unlogged(state)
        snapshot = state.features[state.models[name].use_case.feature_table]
        ids = snapshot.arrays()[snapshot.key]
        parts: list[dict[str, Array]] = []
        for start in range(0, len(ids), ROWS):
            asked = [str(one) for one in ids[start : start + ROWS].tolist()]
            outputs = predictor.predict(Call(use_case=name, entity_ids=asked)).outputs
            parts.append({output: _encoded(values) for output, values in outputs.items()})
            yield
        unfinished = path.with_suffix(".part")
        _write(unfinished, parts)
        unfinished.rename(path)


def _write(path: Path, parts: Sequence[Mapping[str, Array]]) -> None:
    """The parts one after the other as a table in a file, which is mapped: they are in memory once."""
    dtype = [(name, np.result_type(*(part[name] for part in parts))) for name in (parts[0] if parts else ())]
    lengths = [len(next(iter(part.values()))) for part in parts]
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=(sum(lengths),))
    end = 0
    for part, length in zip(parts, lengths, strict=True):
        end += length
        for name, values in part.items():
            table[name][end - length : end] = values
    table.flush()


def _encoded(values: Sequence[Any]) -> Array:
    """Numbers as they are, text as UTF-8, which takes a quarter of what NumPy's own text does."""
    column = np.array(values)
    return np.char.encode(column, "utf-8") if column.dtype.kind == "U" else column


def _answering(pointer: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Use case and version of the models that answer calls; a challenger in the shadow is not one.

    What is quick comes first: lists take ten times as long as all the others.
    """
    champions = pointer.get("models", {}).items()
    canaries = ((name, entry) for name, entry in pointer.get("challengers", {}).items() if entry["percent"])
    answering = [(name, entry["version"]) for name, entry in (*champions, *canaries)]
    return sorted(answering, key=lambda one: not get(one[0]).features)
