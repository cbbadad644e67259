"""Shuffled labels: a candidate that learned from nothing must not beat the simple baseline, or the test leaks."""

from training import bootstrap
from training.use_case import Dataset, Metrics, Model, UseCase

SHUFFLES = 5
"""A single shuffle may rank well by luck, as all features of a rich customer point the same way; five hardly do."""
LITTLE = 0.25
"""Share of the candidate's gain: a constraint such as "who spent more will spend more" gives noise some skill too."""


def shuffled_gain(use_case: UseCase, baseline: Model, data: Dataset, *, gain: float) -> Metrics:
    """What fits on shuffled labels gain over the simple baseline on the true test, see `bootstrap.summary`.

    The first of at most five shuffles that is at chance is given, else the one that gains least; `gain` is the
    candidate's. Empty where the use case has no shuffle.
    """
    if use_case.shuffled is None:
        return {}
    found = []
    for number in range(SHUFFLES):
        model = use_case.fit(use_case.shuffled(data, number))
        found.append(bootstrap.summary(use_case.gains(model, baseline, data)))
        if at_chance(found[-1], gain=gain):
            break
    return min(found, key=lambda shuffled: shuffled["gain"])


def at_chance(shuffled: Metrics, *, gain: float) -> bool:
    """Whether a fit on shuffled labels gains nothing beyond noise, or little of what the candidate gains."""
    return shuffled["gain_low"] <= 0 or shuffled["gain"] < LITTLE * gain
