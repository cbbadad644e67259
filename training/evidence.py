"""What training found out about a candidate: the gate judges it, the model card shows it, the registry keeps it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.use_case import Metrics


@dataclass(frozen=True, kw_only=True)
class Window:
    """A test window of the backtest, `window` windows back from the newest: the primary metric of both models there.

    `as_of` is the test cutoff; `rows` the test rows.
    """

    window: int
    as_of: str
    rows: int
    model: float
    baseline: float


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Some of the test rows, such as `loyalty_level = 2`, and the primary metric of both models on them."""

    name: str
    rows: int
    model: float
    baseline: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a candidate fitted before the test window.

    metrics, baseline, references: of the candidate, the simple baseline and the named baselines, on the same test rows.
    gain: by how much the candidate beats the simple baseline in the primary metric; see `training.bootstrap.summary`.
    intervals: by metric of the candidate, its 90 % interval, where resampling is cheap.
    shuffled: the gain of a candidate fitted on shuffled labels; empty where a use case cannot be shuffled.
    windows: the backtest, newest first; `windows_end` says why it reaches no further back.
    importances: by feature, what the primary metric loses when the feature is shuffled on the test rows.
    ranking: by feature, how well it alone ranks the test rows by their label, 0 for chance and 1 for perfectly.
    answers_ranking: the same of the model's answers; None where rows carry no label.
    deciles: predicted and actual mean of each tenth of the test rows, lowest predictions first.
    """

    metrics: Metrics
    baseline: Metrics
    references: Mapping[str, Metrics]
    gain: Metrics
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    shuffled: Metrics = field(default_factory=dict)
    windows: Sequence[Window] = ()
    windows_end: str = ""
    importances: Metrics = field(default_factory=dict)
    ranking: Metrics = field(default_factory=dict)
    answers_ranking: float | None = None
    deciles: Sequence[tuple[float, float]] = ()
    slices: Sequence[Slice] = ()

    @classmethod
    def of_baseline(cls, metrics: Metrics) -> "Evidence":
        """What there is to say of the simple baseline itself, which gains nothing over itself."""
        return cls(metrics=metrics, baseline=metrics, references={}, gain={"gain": 0.0})

    def to_json(self) -> dict[str, Any]:
        """The evidence as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Evidence":
        """The inverse of `to_json`."""
        told = dict(document)
        told["windows"] = tuple(Window(**entry) for entry in told["windows"])
        told["slices"] = tuple(Slice(**entry) for entry in told["slices"])
        told["deciles"] = tuple((predicted, actual) for predicted, actual in told["deciles"])
        told["intervals"] = {name: (low, high) for name, (low, high) in told["intervals"].items()}
        return cls(**told)
