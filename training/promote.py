"""Promotion: the gate between a trained candidate and the alias that answers, and the way back."""

from collections.abc import Sequence
from datetime import datetime

from lakehouse.build import label_features
from lakehouse.engine import engine
from lakehouse.errors import ShopSphereError
from lakehouse.storage import Lake
from training import bootstrap, promotions, use_cases
from training.promotions import PromotionReport
from training.registry import Registry, VersionInfo
from training.settings import TrainingSettings
from training.train import Progress, register
from training.use_case import Dataset, Decision, Metrics, UseCase


class PromotionError(ShopSphereError):
    """There is nothing to promote, or nothing to roll back to."""


def promote(
    use_case: str,
    version: int | None = None,
    *,
    settings: TrainingSettings | None = None,
    decided_by: str | None = None,
    data: Dataset | None = None,
    progress: Progress | None = None,
) -> PromotionReport:
    """Judge a version, the newest trained one where none is given, against the champion on the same holdout rows.

    Accepted, its recipe is fitted again on all elapsed labels, registered and made the champion; running servers
    follow. Refused, the champion stays. Either is a row of the Delta table `promotions`.
    `data` spares reading the holdout again right after training.

    Raises:
        PromotionError: there is no such candidate.
        ShopSphereError: unknown use case, tables missing, or the registry cannot be reached.
    """
    settings = settings or TrainingSettings()
    found = use_cases.get(use_case)
    registry, lake = Registry(settings), Lake(settings)
    versions = {info.version: info for info in registry.versions(use_case)}
    candidate = _candidate(use_case, versions, version)
    champion = next((info for info in versions.values() if "champion" in info.aliases), None)
    if champion and candidate.version in (champion.version, _refit_of(champion)):
        reason = f"it answers already, as version {champion.version}: train a new candidate first"
        verdict = _verdict(candidate, champion, Decision(promote=False, reasons=[reason]), {})
        return promotions.record(lake, verdict, decided_by=decided_by)
    if progress:
        progress(f"{use_case}: judge version {candidate.version}")
    with engine(settings) as run:
        label_features(lake, found.feature_table, run=run)
    data = data or found.dataset(lake)
    rival = champion or next(info for info in versions.values() if info.kind == "baseline")
    metrics, decision = _judge(
        found, registry, data, candidate=_unseen(candidate, versions, data), champion=_unseen(rival, versions, data)
    )
    final = None
    if decision.promote:
        final = candidate if _refit_of(candidate) else _refit(found, registry, lake, candidate)
        registry.set_champion(use_case, final.version)
    verdict = _verdict(candidate, champion, decision, metrics, final=final)
    return promotions.record(lake, verdict, decided_by=decided_by)


def rollback(
    use_case: str, *, settings: TrainingSettings | None = None, decided_by: str | None = None
) -> PromotionReport:
    """Let the champion before the present one answer again, without a gate; a row of `promotions`.

    Raises:
        PromotionError: there is no champion, or no promotion of it is recorded.
    """
    settings = settings or TrainingSettings()
    registry, lake = Registry(settings), Lake(settings)
    use_cases.get(use_case)
    champion = registry.champion(use_case)
    if champion is None:
        raise PromotionError(f"{use_case!r} has no champion: run `shopsphere train {use_case}` first")
    before = promotions.predecessor(lake, use_case, champion.version)
    if before is None:
        raise PromotionError(
            f"nothing to roll back to: version {champion.version} of {use_case!r} is its first champion"
        )
    registry.set_champion(use_case, before)
    report = PromotionReport(
        use_case=use_case,
        decision="rolled_back",
        candidate=before,
        version=before,
        from_version=champion.version,
        reasons=[f"rolled back from version {champion.version}"],
        metrics={},
    )
    return promotions.record(lake, report, decided_by=decided_by)


def _candidate(use_case: str, versions: dict[int, VersionInfo], version: int | None) -> VersionInfo:
    if version is not None:
        if version not in versions:
            raise PromotionError(f"{use_case!r} has no version {version!r}: `shopsphere models` lists them")
        return versions[version]
    trained = [info for info in versions.values() if info.kind != "baseline" and not _refit_of(info)]
    if not trained:
        raise PromotionError(f"{use_case!r} has no trained candidate: run `shopsphere train {use_case}` first")
    return max(trained, key=lambda info: info.version)


def _refit_of(info: VersionInfo) -> int | None:
    return int(info.tags["refit_of"]) if "refit_of" in info.tags else None


def _unseen(info: VersionInfo, versions: dict[int, VersionInfo], data: Dataset) -> VersionInfo:
    """The version, or where it was fitted on the test's labels, the same recipe fitted before them."""
    twin = _refit_of(info)
    if twin in versions and datetime.fromisoformat(info.tags["labels_end"]) > data.as_of:
        return versions[twin]
    return info


def _judge(
    use_case: UseCase, registry: Registry, data: Dataset, *, candidate: VersionInfo, champion: VersionInfo
) -> tuple[dict[str, Metrics], Decision]:
    """The gate's verdict, and the metrics of both on the same test rows."""
    models = {"candidate": registry.load(candidate), "champion": registry.load(champion)}
    metrics = {role: use_case.evaluate(model, data) for role, model in models.items()}
    if use_case.gains:
        gains = use_case.gains(models["candidate"], models["champion"], data)
        if gains is not None:
            metrics["candidate"] |= bootstrap.summary(gains)
    return metrics, use_case.gate(metrics["candidate"], metrics["champion"])


def _refit(use_case: UseCase, registry: Registry, lake: Lake, candidate: VersionInfo) -> VersionInfo:
    """The candidate's recipe on all elapsed labels, with the metrics that the candidate had on the holdout."""
    data = use_case.dataset(lake, refit=True)
    model = use_case.fit_baseline(data) if candidate.kind == "baseline" else use_case.fit(data)
    if use_case.continued:
        model = use_case.continued(model, registry.load(candidate), data)
    return register(
        registry,
        use_case,
        model,
        data=data,
        metrics={f"holdout_{name}": value for name, value in candidate.metrics.items()},
        tags={"fit": "refit", "refit_of": str(candidate.version)},
        figures=False,
    )


def _verdict(
    candidate: VersionInfo,
    champion: VersionInfo | None,
    decision: Decision,
    metrics: dict[str, Metrics],
    *,
    final: VersionInfo | None = None,
) -> PromotionReport:
    reasons: Sequence[str] = list(decision.reasons)
    return PromotionReport(
        use_case=candidate.name,
        decision="promoted" if final else "refused",
        candidate=candidate.version,
        version=final.version if final else candidate.version,
        from_version=champion.version if champion else None,
        reasons=reasons,
        metrics=metrics,
    )
