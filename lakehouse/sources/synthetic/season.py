"""How much is going on on each day: a wave over the year, more before Christmas, more towards the weekend."""

from dataclasses import dataclass

import numpy as np

from lakehouse.sources.synthetic.knobs import Knobs
from lakehouse.sources.synthetic.streams import Array

WEEKDAYS = np.array([0.95, 0.92, 0.95, 1.0, 1.1, 1.15, 0.93])
MEAN_LIFE = 900.0
"""Days: dropout rates have the mean 1/900."""


@dataclass(frozen=True)
class Season:
    """The day's weights, and how much of them has passed at each midnight."""

    weight: Array
    passed: Array

    def mass(self, start: Array | float, end: Array | float) -> Array:
        """The weight between two moments, in days since the shop's start."""
        midnights = np.arange(len(self.passed))
        total: Array = np.asarray(np.interp(end, midnights, self.passed) - np.interp(start, midnights, self.passed))
        return total

    def moments(self, random: np.random.Generator, start: Array, end: Array) -> Array:
        """One moment between each `start` and `end`, likelier on days of more weight."""
        midnights = np.arange(len(self.passed))
        low, high = (np.interp(moment, midnights, self.passed) for moment in (start, end))
        found: Array = np.interp(low + random.random(len(low)) * (high - low), self.passed, midnights)
        return found

    def weeks(self) -> Array:
        """The weight of each week."""
        padded = np.zeros(-(-len(self.weight) // 7) * 7)
        padded[: len(self.weight)] = self.weight
        total: Array = padded.reshape(-1, 7).sum(axis=1)
        return total


def season(knobs: Knobs) -> Season:
    """The shop's season."""
    days = np.datetime64(knobs.start, "D") + np.arange(knobs.days)
    month = days.astype("datetime64[M]").astype(int) % 12 + 1
    since_new_year = (days - days.astype("datetime64[Y]")).astype(int)
    late = np.isin(month, (11, 12))
    wave: Array = 0.08 * np.sin(2 * np.pi * (since_new_year - 80) / 365.25)
    weekday = WEEKDAYS[(days.astype(int) + 3) % 7]
    weight: Array = np.where(knobs.mode == "kaggle", 1 + 0.2 * late, (1 + wave + 0.25 * late) * weekday)
    return Season(weight=weight, passed=np.concatenate([[0.0], np.cumsum(weight)]))


def signup_days(share: Array, days: int) -> Array:
    """From shares of Beta(1, 1.6): three in eight customers are there when the shop's time starts."""
    return (0.8 * share - 0.2) * days


def mean_active(year: Season) -> float:
    """The expected weight of a customer's active time: signups are Beta(1, 1.6), lifetimes Pareto."""
    days = len(year.weight)
    share = (np.arange(200) + 0.5) / 200
    births = signup_days(1 - (1 - share) ** (1 / 1.6), days).clip(0)
    since = np.arange(days)[None, :] + 0.5 - births[:, None]
    alive = np.where(since > 0, 1 / (1 + since.clip(0) / MEAN_LIFE), 0)
    return float((alive @ year.weight).mean())
