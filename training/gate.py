"""What every candidate must show beside its use case's own gate, before it may answer; the reasons in plain words."""

from collections.abc import Callable, Iterable

import numpy as np

from training import leaks
from training.chance import at_chance
from training.evidence import Evidence
from training.use_case import UseCase

SHARE = (0.75, 1.25)
"""What a probability promises in sum, over what came, where it is more than chance."""
SIGMAS = 3.0
MARGIN = 0.02
"""Share of a named baseline's own gain over the simple one that a candidate may lack: these come as metrics alone."""


def refusals(use_case: UseCase, evidence: Evidence) -> list[str]:
    """The reasons against a candidate that the evidence gives; empty where there is none.

    It must beat the simple baseline by more than noise, be as good as every named baseline, beat the simple one in most
    windows of the backtest, be no better than chance when trained on shuffled labels, show no sign of a leak, and be
    calibrated where it answers a probability.
    """
    checks: tuple[Callable[[UseCase, Evidence], Iterable[str]], ...] = (
        _simple_baseline,
        _named_baselines,
        _backtest,
        _shuffled,
        _leaks,
        _calibration,
    )
    return [reason for check in checks for reason in check(use_case, evidence)]


def is_better(use_case: UseCase, ours: float, theirs: float) -> bool:
    """Whether the first value of the primary metric is the better one."""
    return ours > theirs if use_case.higher_is_better else ours < theirs


def _simple_baseline(use_case: UseCase, evidence: Evidence) -> Iterable[str]:
    if not evidence.gain["gain_low"] > 0:
        metric = use_case.primary_metric
        yield (
            f"{metric} {evidence.metrics[metric]:.4g} does not beat the simple baseline's "
            f"{evidence.baseline[metric]:.4g} by more than noise"
        )


def _named_baselines(use_case: UseCase, evidence: Evidence) -> Iterable[str]:
    metric, sign = use_case.primary_metric, 1 if use_case.higher_is_better else -1
    ours, simple = evidence.metrics[metric], evidence.baseline[metric]
    for name, row in evidence.references.items():
        if metric not in row:
            continue
        theirs = sign * (row[metric] - simple)
        if sign * (ours - simple) < theirs - MARGIN * abs(theirs):
            yield f"{metric} {ours:.4g} is worse than the {row[metric]:.4g} of a plain rule, {name.replace('_', ' ')}"


def _backtest(use_case: UseCase, evidence: Evidence) -> Iterable[str]:
    won = [window for window in evidence.windows if is_better(use_case, window.model, window.baseline)]
    if 2 * len(won) <= len(evidence.windows):
        dates = ", ".join(window.as_of[:10] for window in evidence.windows)
        yield f"it beats the simple baseline in {len(won)} of {len(evidence.windows)} test windows ({dates})"


def _shuffled(use_case: UseCase, evidence: Evidence) -> Iterable[str]:
    if evidence.shuffled and not at_chance(evidence.shuffled, gain=evidence.gain["gain"]):
        yield (
            f"trained on shuffled labels it still gains {evidence.shuffled['gain']:.4g} in {use_case.primary_metric} "
            "over the simple baseline: the test leaks"
        )


def _leaks(use_case: UseCase, evidence: Evidence) -> Iterable[str]:
    return leaks.suspicions(
        ranking=evidence.ranking,
        answers_ranking=evidence.answers_ranking,
        importances=evidence.importances,
        gain=evidence.gain["gain"],
    )


def _calibration(use_case: UseCase, evidence: Evidence) -> Iterable[str]:
    if not use_case.outputs[0].startswith("prob_") or not evidence.deciles:
        return
    predicted, actual = np.array(evidence.deciles).T
    rows = evidence.windows[0].rows
    noise = SIGMAS * float(np.sqrt(np.mean(predicted * (1 - predicted)) / rows))
    share = predicted.mean() / max(actual.mean(), 1e-12)
    if abs(predicted.mean() - actual.mean()) > noise and not SHARE[0] <= share <= SHARE[1]:
        yield (
            f"its probabilities are not calibrated: it promises {predicted.mean():.3g} responses per row, "
            f"{actual.mean():.3g} came"
        )
