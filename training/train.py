"""Training one use case: dataset, simple baseline, candidate and evidence, registered with what they were made from."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakehouse.build import label_features
from lakehouse.engine import engine
from lakehouse.storage import Lake
from training import code_version, labelled, promotions, use_cases
from training.backtest import WINDOWS
from training.evidence import Evidence
from training.examine import examine
from training.gain_curve import gain_figure
from training.model_card import model_card
from training.promotions import PromotionReport
from training.registry import Registry, VersionInfo
from training.settings import TrainingSettings
from training.use_case import Dataset, Metrics, Model, UseCase

Progress = Callable[[str], None]
CONTINUES = "continues"
"""Tag with the version whose ids a model keeps, see `UseCase.continued`."""


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a training run registered and how it did on the holdout.

    `first` says that the baseline became the use case's first champion. `data` is what was read, for a promotion right
    after.
    """

    use_case: str
    version: int
    baseline_version: int
    primary_metric: str
    evidence: Evidence
    first: bool
    data: Dataset = field(repr=False)

    @property
    def metrics(self) -> Metrics:
        """The candidate's, on the holdout."""
        return self.evidence.metrics

    def lines(self) -> list[str]:
        """The primary metric of candidate, baselines and backtest, one line each, for people."""
        rows = {
            f"{self.use_case} version {self.version}": self.evidence.metrics,
            "simple baseline": self.evidence.baseline,
            **self.evidence.references,
        }
        metric = self.primary_metric
        told = [f"{name}: {metric} {row[metric]:.4g}" for name, row in rows.items() if metric in row]
        return told + [
            f"test window of {entry.as_of[:10]}: {metric} {entry.model:.4g}, simple baseline {entry.baseline:.4g}"
            for entry in self.evidence.windows[1:]
        ]


def train(
    settings: TrainingSettings, name: str, *, windows: int = WINDOWS, progress: Progress | None = None
) -> TrainReport:
    """Fit, examine and register a use case's candidate, and its simple baseline where the data has none registered yet.

    The baseline becomes the champion where there is none: then there is always an answer.
    `windows` is how many test windows before the newest the backtest goes back, as far as the history reaches.
    `progress` is called with a sentence at each step.

    Raises:
        ShopSphereError: unknown use case, tables missing, history too short, or the registry cannot be reached.
    """
    say = progress or _silent
    use_case = use_cases.get(name)
    registry, lake = Registry(settings), Lake(settings)
    champion = registry.champion(name)
    say(f"{name}: read the training data")
    with engine(settings) as run:
        label_features(lake, use_case.feature_table, run=run)
    data = use_case.dataset(lake)
    baseline = use_case.fit_baseline(data)
    baseline_info = _same_baseline(registry, use_case, data)
    if baseline_info is None:
        simple = use_case.evaluate(baseline, data)
        baseline_info = register(
            registry, use_case, baseline, data=data, metrics=simple, evidence=Evidence.of_baseline(simple)
        )
    if champion is None:
        _start_with(baseline_info, registry, lake)
    say(f"{name}: fit on {data.train.height:,} rows, test on {data.test.height:,}")
    candidate, seconds = timed_fit(use_case, data)
    continues = {}
    if use_case.continued and champion:
        candidate = use_case.continued(candidate, registry.load(champion), data)
        continues = {CONTINUES: str(champion.version)}
    say(f"{name}: examine it on earlier windows, shuffled labels and shuffled features")
    evidence = examine(use_case, candidate, baseline, data, lake=lake, windows=windows)
    info = register(
        registry,
        use_case,
        candidate,
        data=data,
        metrics={**flat(evidence), **seconds},
        tags=continues,
        evidence=evidence,
        figures=True,
    )
    return TrainReport(
        use_case=name,
        version=info.version,
        baseline_version=baseline_info.version,
        primary_metric=use_case.primary_metric,
        evidence=evidence,
        first=champion is None,
        data=data,
    )


def timed_fit(use_case: UseCase, data: Dataset) -> tuple[Model, Metrics]:
    """The candidate, and as a metric how long its fit took."""
    started = time.monotonic()
    model = use_case.fit(data)
    return model, {"fit_seconds": time.monotonic() - started}


def register(
    registry: Registry,
    use_case: UseCase,
    model: Model,
    *,
    data: Dataset,
    metrics: Metrics,
    tags: Mapping[str, str] | None = None,
    evidence: Evidence | None = None,
    figures: bool = False,
) -> VersionInfo:
    """Register a model with the tags that pin its data, to which `tags` are added.

    With `evidence` it gets a card, whose figures are those of `tags["refit_of"]` where that is there. Figures need test
    rows.
    """
    pinned = {
        "fit": "holdout",
        "labels_end": data.labels_end.isoformat(),
        "as_of": data.as_of.isoformat(),
        "data_versions": json.dumps(dict(data.data_versions)),
        **(tags or {}),
    }
    refit_of = int(pinned["refit_of"]) if "refit_of" in pinned else None
    card = model_card(use_case, model, data, evidence, code=code_version.tags(), refit_of=refit_of) if evidence else ""
    return registry.log(
        use_case.name,
        model,
        example=use_case.example(data),
        metrics=metrics,
        tags=pinned,
        figures=_figures(use_case, model, data) if figures else None,
        card=card,
        evidence=evidence.to_json() if evidence and model.kind != "baseline" else None,
    )


def flat(evidence: Evidence) -> Metrics:
    """The evidence as metrics of the registry: the baselines' and each window's with a prefix."""
    found = {**evidence.metrics, **_prefixed("baseline_", evidence.baseline), **evidence.gain}
    for reference, row in evidence.references.items():
        found |= _prefixed(f"{reference}_", row)
    found |= _prefixed("shuffled_", evidence.shuffled)
    for entry in evidence.windows[1:]:
        found |= {f"window_{entry.window}_model": entry.model, f"window_{entry.window}_baseline": entry.baseline}
    return found


def _figures(use_case: UseCase, model: Model, data: Dataset) -> dict[str, Any]:
    found = dict(use_case.figures(model, data))
    if known := labelled.outcomes(use_case, model, data):
        found["gain.png"] = gain_figure(*known, title=f"{use_case.title}: how answers order the test rows")
    return found


def _start_with(baseline: VersionInfo, registry: Registry, lake: Lake) -> None:
    registry.set_champion(baseline.name, baseline.version)
    first = PromotionReport(
        use_case=baseline.name,
        decision="promoted",
        candidate=baseline.version,
        version=baseline.version,
        from_version=None,
        reasons=["the first champion is the simple baseline"],
        metrics={},
    )
    promotions.record(lake, first)


def _same_baseline(registry: Registry, use_case: UseCase, data: Dataset) -> VersionInfo | None:
    """The registered baseline of the same data: training again on it needs no further one."""
    versions = json.dumps(dict(data.data_versions))
    for info in reversed(registry.versions(use_case.name)):
        if info.kind == "baseline" and info.tags.get("data_versions") == versions and info.tags.get("fit") == "holdout":
            return info
    return None


def _prefixed(prefix: str, metrics: Metrics) -> Metrics:
    return {f"{prefix}{name}": value for name, value in metrics.items()}


def _silent(sentence: str) -> None:
    """Where nobody wants to know."""
