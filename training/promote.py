"""Promotion: the gate between a trained candidate and the alias that answers, and the way back."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lakehouse.build import label_features
from lakehouse.engine import engine
from lakehouse.errors import ShopSphereError
from lakehouse.storage import Lake
from training import examine, gate, promotions, trial, use_cases
from training.evidence import Evidence
from training.promotions import PromotionReport
from training.registry import Registry, VersionInfo
from training.settings import TrainingSettings
from training.train import CONTINUES, Progress, flat, register
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

    One that was rolled back has to be named to be judged again. Accepted, its recipe is fitted again on all elapsed
    labels, registered and made the champion; running servers follow. Refused, the champion stays. Either is a row of
    the Delta table `promotions`.
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
    if reason := _not_judged(lake, versions, candidate, champion, chosen=version is not None):
        verdict = _verdict(candidate, champion, Decision(promote=False, reasons=[reason]), {})
        return promotions.record(lake, verdict, decided_by=decided_by)
    if progress:
        progress(f"{use_case}: judge version {candidate.version}")
    with engine(settings) as run:
        label_features(lake, found.feature_table, run=run)
    data = data or found.dataset(lake)
    rival = champion or next(info for info in versions.values() if info.kind == "baseline")
    judged = _Judged(found, registry, data, candidate=_unseen(candidate, versions, data), lake=lake)
    decision = judged.decide(_unseen(rival, versions, data))
    final = None
    if decision.promote:
        final = candidate if _refit_of(candidate) else _refit(found, registry, lake, candidate, judged.evidence)
        registry.check(final)
        registry.set_champion(use_case, final.version)
    verdict = _verdict(candidate, champion, decision, judged.metrics, final=final)
    windows = judged.evidence.windows if judged.evidence else ()
    verdict = replace(verdict, as_of=data.as_of, windows=windows)
    promotions.record(lake, verdict, decided_by=decided_by)
    if final:
        tried = (candidate.version, final.version)
        trial.end(registry, lake, use_case, reason="promoted", only=tried, decided_by=decided_by)
    return verdict


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
    registry.check(registry.version(use_case, before))
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
    promotions.record(lake, report, decided_by=decided_by)
    trial.end(registry, lake, use_case, reason="rolled back to", only=(before,), decided_by=decided_by)
    return report


def _candidate(use_case: str, versions: dict[int, VersionInfo], version: int | None) -> VersionInfo:
    if version is not None:
        if version not in versions:
            raise PromotionError(f"{use_case!r} has no version {version!r}: `shopsphere models` lists them")
        return versions[version]
    trained = [
        info
        for info in versions.values()
        if info.kind != "baseline" and not _refit_of(info) and "like" not in info.tags
    ]
    if not trained:
        raise PromotionError(f"{use_case!r} has no trained candidate: run `shopsphere train {use_case}` first")
    return max(trained, key=lambda info: info.version)


def _not_judged(
    lake: Lake, versions: dict[int, VersionInfo], candidate: VersionInfo, champion: VersionInfo | None, *, chosen: bool
) -> str:
    """Why a candidate does not come before the gate; nothing where it does. A version `chosen` by number may return."""
    if champion and candidate.version in (champion.version, _refit_of(champion)):
        return f"it answers already, as version {champion.version}: train a new candidate first"
    for number in () if chosen else sorted(promotions.rolled_back(lake, candidate.name)):
        if number in versions and candidate.version in (number, _refit_of(versions[number])):
            again = f"name it with --version {candidate.version} to let it answer again"
            return f"it answered as version {number} and was rolled back: train a new candidate, or {again}"
    return ""


def _refit_of(info: VersionInfo) -> int | None:
    return int(info.tags["refit_of"]) if "refit_of" in info.tags else None


def _unseen(info: VersionInfo, versions: dict[int, VersionInfo], data: Dataset) -> VersionInfo:
    """The version, or where it was fitted on the test's labels, the same recipe fitted before them."""
    twin = _refit_of(info)
    if twin in versions and datetime.fromisoformat(info.tags["labels_end"]) > data.as_of:
        return versions[twin]
    return info


class _Judged:
    """A candidate before the gate: its metrics on the test rows beside the others', and what training found."""

    def __init__(
        self, use_case: UseCase, registry: Registry, data: Dataset, *, candidate: VersionInfo, lake: Lake
    ) -> None:
        self._use_case, self._registry, self._data, self._info = use_case, registry, data, candidate
        self._lake = lake
        self._model = registry.load(candidate)
        told = registry.evidence(candidate)
        self.evidence = self._renewed(Evidence.from_json(told)) if told else None
        known = self.evidence.metrics if self.evidence else use_case.evaluate(self._model, data)
        self.metrics: dict[str, Metrics] = {"candidate": dict(known)}
        if self.evidence:
            self.metrics |= {"simple_baseline": self.evidence.baseline, **self.evidence.references}

    def decide(self, champion: VersionInfo) -> Decision:
        """The verdict of the use case's gate against the champion, and of what every candidate must show."""
        if self.evidence and champion.kind == "baseline" and _is_of(champion, self._data):
            self.metrics["champion"], gained = dict(self.evidence.baseline), self.evidence.gain
        else:
            rival = self._registry.load(champion)
            self.metrics["champion"] = self._use_case.evaluate(rival, self._data)
            gained = examine.gain(self._use_case, self._model, rival, self._data)
        self.metrics["candidate"] |= gained
        decision = self._use_case.gate(self.metrics["candidate"], self.metrics["champion"])
        against = [] if decision.promote else list(decision.reasons)
        if self.evidence:
            against += gate.refusals(self._use_case, self.evidence)
        elif self._info.kind != "baseline":
            against.append("nothing is known of its training: train it again")
        return Decision(promote=False, reasons=against) if against else decision

    def _renewed(self, evidence: Evidence) -> Evidence:
        """The evidence, measured again on the test rows where those are not the ones of its training."""
        if _is_of(self._info, self._data):
            return evidence
        baseline = self._use_case.fit_baseline(self._data)
        earlier = len(evidence.windows) - 1
        return examine.examine(
            self._use_case, self._model, baseline, self._data, lake=self._lake, windows=max(earlier, 0)
        )


def _is_of(info: VersionInfo, data: Dataset) -> bool:
    """Whether a version was trained for the same test rows, before them."""
    same = {"as_of": data.as_of.isoformat(), "data_versions": json.dumps(dict(data.data_versions)), "fit": "holdout"}
    return same.items() <= info.tags.items()


def _refit(
    use_case: UseCase, registry: Registry, lake: Lake, candidate: VersionInfo, evidence: Evidence | None
) -> VersionInfo:
    """The candidate's recipe on all elapsed labels, with the metrics that the candidate had on the holdout."""
    data = use_case.dataset(lake, refit=True)
    holdout = candidate.metrics | (flat(evidence) if evidence else {})
    model = use_case.fit_baseline(data) if candidate.kind == "baseline" else use_case.fit(data)
    continues = {}
    if use_case.continued:
        model = use_case.continued(model, registry.load(candidate), data)
        continues = {CONTINUES: str(candidate.version)}
    return register(
        registry,
        use_case,
        model,
        data=data,
        metrics={f"holdout_{name}": value for name, value in holdout.items()},
        tags={"fit": "refit", "refit_of": str(candidate.version), **continues},
        evidence=evidence,
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
