"""The shadow: a challenger's answers beside the champion's, scored from the log's records before they are committed.

No call waits for it: the spool is its queue. What has waited too long is committed without, so that nothing is held up.
"""

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grpc_server import shadow_rows
from grpc_server.champions import read_pointer
from grpc_server.counters import Counters
from grpc_server.metric_families import APART, SCORED, SKIPPED
from grpc_server.online_features import FeatureSnapshot
from grpc_server.shadow_rows import Record
from training.columns import plain
from training.disagreement import disagreement
from training.use_case import Model, UseCase
from training.use_cases import get
from training.verified import load_verified

logger = logging.getLogger(__name__)
DEADLINE = timedelta(seconds=30)
"""An answer that is older is not scored any more."""
ROWS = 1_000
"""As many answers are scored at once."""
PRODUCTS = "gold.product_features"
Key = tuple[str, int]
"""Use case and version."""


class Shadow:
    """The challengers in the shadow of the server that answers from the folder `serving`."""

    def __init__(self, serving: Path, counters: Counters) -> None:
        self._serving, self._counters = serving, counters
        self._models: dict[Key, Model | None] = {}
        self._snapshots: dict[Path, FeatureSnapshot] = {}
        self._apart: dict[Key, deque[float]] = {}

    def scored(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records; those of a champion with a challenger in its shadow have the challenger's answers, too.

        Left out is what is older than the deadline, was answered from other rows than the server has now, and what the
        challenger fails on.
        """
        try:
            return self._scored(records)
        except Exception:  # whatever it is, the champion's answers have to be committed
            logger.exception("no shadow was scored")
            return records

    def _scored(self, records: Sequence[Record]) -> list[Record]:
        pointer = read_pointer(self._serving) or {"challengers": {}}
        shadows = {name: entry for name, entry in pointer["challengers"].items() if not entry["percent"]}
        self._end(all_but={(name, entry["version"]) for name, entry in shadows.items()})
        found = list(records)
        for name, entry in shadows.items():
            mine = [n for n, one in enumerate(records) if (one["use_case"], one["alias"]) == (name, "champion")]
            model = self._model(name, entry) if mine else None
            if model is None:
                continue
            use_case = get(name)
            rows = self._snapshot(pointer, use_case.feature_table), self._snapshot(pointer, PRODUCTS)
            challenger = _Challenger(use_case, model, entry["version"], *rows)
            for places in _chunks(records, mine):
                self._tell((name, entry["version"]), challenger.score(found, places))
        return found

    def _tell(self, key: Key, scored: "_Scored") -> None:
        labels = (key[0], str(key[1]))
        apart = self._apart.setdefault(key, deque(maxlen=ROWS))
        apart.extend(scored.apart)
        self._counters.add(SCORED.name, *labels, amount=len(scored.apart))
        self._counters.add(SKIPPED.name, *labels, amount=scored.skipped)
        if apart:
            self._counters.set(APART.name, *labels, to=sum(apart) / len(apart))

    def _end(self, *, all_but: set[Key]) -> None:
        """Forget the trials that are over."""
        for key in self._apart.keys() - all_but:
            self._counters.set(APART.name, key[0], str(key[1]), to=float("nan"))
            del self._apart[key]
        self._models = {key: model for key, model in self._models.items() if key in all_but}

    def _model(self, name: str, entry: Mapping[str, Any]) -> Model | None:
        key = (name, entry["version"])
        if key not in self._models:
            try:
                digest = entry["tags"].get("digest")
                self._models[key] = load_verified(self._serving / entry["folder"], name, digest=digest)
            except Exception as error:  # whatever a model's own code raises must not end the log
                logger.error("version %s of %s is not scored: %s", entry["version"], name, error)
                self._models[key] = None
        return self._models[key]

    def _snapshot(self, pointer: Mapping[str, Any], table: str) -> FeatureSnapshot | None:
        path = pointer["features"].get(table)
        if path is None:
            return None
        folder = self._serving / path
        if folder not in self._snapshots:
            self._snapshots = {old: one for old, one in self._snapshots.items() if old.parent != folder.parent}
            self._snapshots[folder] = FeatureSnapshot(folder)
        return self._snapshots[folder]


@dataclass(frozen=True)
class _Scored:
    """How far each scored answer is from the champion's, and how many were left out."""

    apart: Sequence[float]
    skipped: int


@dataclass(frozen=True)
class _Challenger:
    use_case: UseCase
    model: Model
    version: int
    snapshot: FeatureSnapshot | None
    products: FeatureSnapshot | None

    def score(self, records: list[Record], places: Sequence[int]) -> _Scored:
        """Put the answers beside those of the records at some places."""
        mine = [place for place in places if self._can_be(records[place])]
        count = sum(len(records[place]["ids"]) for place in places)
        try:
            answers = self._answers([records[place] for place in mine]) if mine else {}
        except Exception:
            logger.exception("version %s of %s cannot score %s answers", self.version, self.use_case.name, count)
            return _Scored((), count)
        main, apart, start = self.use_case.outputs[0], list[float](), 0
        for place in mine:
            record, end = records[place], start + len(records[place]["ids"])
            own = {f"challenger_{name}": column[start:end] for name, column in answers.items()}
            own["challenger_version"] = [self.version] * len(record["ids"])
            records[place] = {**record, "columns": {**record["columns"], **own}}
            apart += disagreement(record["columns"][main], own[f"challenger_{main}"])
            start = end
        return _Scored(apart, count - len(apart))

    def _answers(self, records: Sequence[Record]) -> dict[str, list[Any]]:
        inputs = shadow_rows.inputs(records, self.use_case, self.snapshot, self.products)
        answers = self.model.predict(inputs, shadow_rows.options(records, self.use_case))
        return {name: plain(column) for name, column in answers.items()}

    def _can_be(self, record: Record) -> bool:
        """Whether it is young enough, of another version, and of the rows that the server answers from."""
        now = datetime.now(UTC).replace(tzinfo=None)
        snapshot = self.snapshot
        rows = (snapshot.version, snapshot.as_of.isoformat()) if snapshot else (None, None)
        young = now - datetime.fromisoformat(record["predicted_at"]) < DEADLINE
        other = record["model_version"] != self.version
        return young and other and (record["feature_version"], record["as_of"]) == rows


def _chunks(records: Sequence[Record], places: Sequence[int]) -> Iterator[list[int]]:
    """The places in groups of about `ROWS` answers."""
    group: list[int] = []
    count = 0
    for place in places:
        group.append(place)
        count += len(records[place]["ids"])
        if count >= ROWS:
            yield group
            group, count = [], 0
    if group:
        yield group
