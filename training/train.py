"""Training one use case: dataset, simple baseline, candidate, holdout metrics, both registered with what they read."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lakehouse.build import label_features
from lakehouse.engine import engine
from lakehouse.storage import Lake
from training import promotions, use_cases
from training.promotions import PromotionReport
from training.registry import Registry, VersionInfo
from training.settings import TrainingSettings
from training.use_case import Dataset, Metrics, Model, UseCase

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a training run registered and how it did on the holdout.

    `metrics` are the candidate's, `baseline_metrics` the simple baseline's, `references` those of stronger named
    baselines, all on the same test rows. `first` says that the baseline became the use case's first champion.
    `data` is what was read, for a promotion right after.
    """

    use_case: str
    version: int
    baseline_version: int
    primary_metric: str
    metrics: Metrics
    baseline_metrics: Metrics
    references: Mapping[str, Metrics]
    first: bool
    seconds: float
    data: Dataset = field(repr=False)

    def lines(self) -> list[str]:
        """The primary metric of candidate, baseline and references, one line each, for people."""
        rows = {
            f"{self.use_case} version {self.version}": self.metrics,
            "simple baseline": self.baseline_metrics,
            **self.references,
        }
        metric = self.primary_metric
        return [f"{name}: {metric} {row[metric]:.4g}" for name, row in rows.items() if metric in row]


def train(settings: TrainingSettings, name: str, *, progress: Progress | None = None) -> TrainReport:
    """Fit and register a use case's candidate, and its simple baseline where the data has none registered yet.

    The baseline becomes the champion where there is none: then there is always an answer.
    `progress` is called with a sentence at each step.

    Raises:
        ShopSphereError: unknown use case, tables missing, history too short, or the registry cannot be reached.
    """
    started = time.monotonic()
    say = progress or _silent
    use_case = use_cases.get(name)
    registry, lake = Registry(settings), Lake(settings)
    champion = registry.champion(name)
    say(f"{name}: read the training data")
    with engine(settings) as run:
        label_features(lake, use_case.feature_table, run=run)
    data = use_case.dataset(lake)
    baseline = use_case.fit_baseline(data)
    baseline_metrics = use_case.evaluate(baseline, data)
    baseline_info = _same_baseline(registry, use_case, data)
    if baseline_info is None:
        baseline_info = register(registry, use_case, baseline, data=data, metrics=baseline_metrics, figures=False)
    if champion is None:
        _start_with(baseline_info, registry, lake)
    say(f"{name}: fit on {data.train.height:,} rows, test on {data.test.height:,}")
    candidate = use_case.fit(data)
    if use_case.continued and champion:
        candidate = use_case.continued(candidate, registry.load(champion), data)
    metrics = use_case.evaluate(candidate, data)
    references = use_case.references(data)
    logged = {**metrics, **_prefixed("baseline_", baseline_metrics)}
    for reference, row in references.items():
        logged |= _prefixed(f"{reference}_", row)
    info = register(registry, use_case, candidate, data=data, metrics=logged)
    return TrainReport(
        use_case=name,
        version=info.version,
        baseline_version=baseline_info.version,
        primary_metric=use_case.primary_metric,
        metrics=metrics,
        baseline_metrics=baseline_metrics,
        references=references,
        first=champion is None,
        seconds=time.monotonic() - started,
        data=data,
    )


def register(
    registry: Registry,
    use_case: UseCase,
    model: Model,
    *,
    data: Dataset,
    metrics: Metrics,
    tags: Mapping[str, str] | None = None,
    figures: bool = True,
) -> VersionInfo:
    """Register a model with the tags that pin its data; `tags` are added. Figures need test rows."""
    pinned = {
        "fit": "holdout",
        "labels_end": data.labels_end.isoformat(),
        "as_of": data.as_of.isoformat(),
        "data_versions": json.dumps(dict(data.data_versions)),
    }
    return registry.log(
        use_case.name,
        model,
        example=use_case.example(data),
        metrics=metrics,
        tags={**pinned, **(tags or {})},
        figures=use_case.figures(model, data) if figures else None,
    )


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
