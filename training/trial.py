"""Trials: a challenger beside the champion, in the shadow or for a share of the customers, kept in the registry.

The alias `challenger` names the version, its tag `trial_percent` says how many of 100 customers it answers: 0, or no
tag, is a shadow, which is scored and answers nobody. Running servers follow both.
"""

from lakehouse.errors import ShopSphereError
from lakehouse.storage import Lake
from training import promotions, use_cases
from training.promotions import PromotionReport, Verdict
from training.registry import CHALLENGER, CHAMPION, Registry, VersionInfo
from training.settings import TrainingSettings

PERCENT = "trial_percent"
MOST = 99


class TrialError(ShopSphereError):
    """A trial that cannot be."""


def percent_of(challenger: VersionInfo) -> int:
    """How many of 100 customers it answers; 0 for a shadow."""
    given = challenger.tags.get(PERCENT, "")
    return int(given) if given.isdecimal() and int(given) <= MOST else 0


def start(
    use_case: str,
    version: int,
    *,
    percent: int,
    settings: TrainingSettings | None = None,
    decided_by: str | None = None,
) -> PromotionReport:
    """Put a version on trial, in the place of one that is: a shadow with 0 %, else a canary; a row of `promotions`.

    It is checked as a server checks it, and needs no gate: the trial is what will tell.

    Raises:
        TrialError: there is no champion or no such version, the version is the champion, or the share is none.
        ArtifactError: the version cannot answer.
        ShopSphereError: unknown use case, or the registry cannot be reached.
    """
    settings = settings or TrainingSettings()
    use_cases.get(use_case)
    if not 0 <= percent <= MOST:
        raise TrialError(f"a challenger cannot answer {percent} % of the customers: say 1 to {MOST}")
    registry = Registry(settings)
    champion = registry.aliases(use_case).get(CHAMPION)
    if champion is None:
        raise TrialError(f"{use_case!r} has no champion: run `shopsphere train {use_case}` first")
    if version == champion:
        raise TrialError(f"version {version} of {use_case!r} answers already, as the champion: name another")
    known = {info.version: info for info in registry.versions(use_case)}
    if version not in known:
        raise TrialError(f"{use_case!r} has no version {version}: `shopsphere models {use_case}` lists them")
    registry.check(known[version])
    registry.tag(use_case, version, {PERCENT: str(percent)})
    registry.set_alias(use_case, CHALLENGER, version)
    said = f"{percent} % of the customers get its answers" if percent else "scored beside the champion, answers nobody"
    report = _report(use_case, "canary" if percent else "shadow", version, champion, said)
    return promotions.record(Lake(settings), report, decided_by=decided_by)


def stop(use_case: str, *, settings: TrainingSettings | None = None, decided_by: str | None = None) -> PromotionReport:
    """End a use case's trial: the champion answers everybody; a row of `promotions`.

    Raises:
        TrialError: none is on.
    """
    settings = settings or TrainingSettings()
    use_cases.get(use_case)
    ended = end(Registry(settings), Lake(settings), use_case, reason="stopped", decided_by=decided_by)
    if ended is None:
        raise TrialError(f"{use_case!r} has no challenger: there is nothing to stop")
    return ended


def end(
    registry: Registry,
    lake: Lake,
    use_case: str,
    *,
    reason: str,
    only: tuple[int, ...] | None = None,
    decided_by: str | None = None,
) -> PromotionReport | None:
    """End the trial, if one is on, and with `only` if it is of one of those versions; gives what was recorded."""
    aliases = registry.aliases(use_case)
    challenger = aliases.get(CHALLENGER)
    if challenger is None or (only is not None and challenger not in only):
        return None
    registry.set_alias(use_case, CHALLENGER, None)
    registry.tag(use_case, challenger, {PERCENT: "0"})
    report = _report(use_case, "trial_ended", challenger, aliases.get(CHAMPION, challenger), reason)
    return promotions.record(lake, report, decided_by=decided_by)


def _report(use_case: str, decision: Verdict, version: int, champion: int, reason: str) -> PromotionReport:
    return PromotionReport(
        use_case=use_case,
        decision=decision,
        candidate=version,
        version=champion,
        from_version=champion,
        reasons=[reason],
        metrics={},
    )
