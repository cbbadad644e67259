"""What buyers are expected to order from purchase behaviour alone: BG/NBD orders, Gamma-Gamma values, in NumPy.

BG/NBD: Fader, Hardie, Lee (2005), "Counting your customers the easy way"; Gamma-Gamma: Fader, Hardie (2013).
`training.purchase_fit` finds the parameters.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.scalars import Numbers

Array = np.ndarray[Any, Any]
TERMS = np.arange(32.0)[:, None]
"""Of the hypergeometric series, at a time; more are needed the younger a buyer is."""
MOST_TERMS = 100_000
PRECISION = 1e-10
BESIDE_ONE = 1e-5
"""How near `a` may be to 1, where the closed form divides by zero."""


def history(inputs: Mapping[str, Numbers], xp: Any = np) -> tuple[Numbers, Numbers, Numbers]:
    """Repeat orders, days from first to last order, and days from first order to now, from CLV's inputs."""
    repeats = xp.maximum(inputs["tx_count"] - 1.0, 0.0)
    age = xp.maximum(inputs["tenure_days"], inputs["recency_days"])
    return repeats, xp.where(repeats > 0, age - inputs["recency_days"], 0.0), age


def expected_orders(
    process: Mapping[str, float], repeats: Numbers, last: Numbers, age: Numbers, *, days: float, xp: Any = np
) -> Numbers:
    """Orders of the next `days` of buyers with `repeats` orders after their first, the last after `last` days of `age`.

    `process` holds r, alpha (days), a and b. The hypergeometric function is Euler-transformed, so that its series
    converges for any number of orders; it is summed until what is left is below 1e-10 of it.
    """
    r, alpha, a, b = (process[name] for name in ("r", "alpha", "a", "b"))
    a = a if abs(a - 1.0) > BESIDE_ONE else 1.0 + BESIDE_ONE
    share = days / (alpha + age + days)
    summed = _hypergeometric if xp is np else _hypergeometric_of_one
    series = summed(a + b - 1.0 - r, a - 1.0, a + b + repeats - 1.0, share)
    grown = (a + b + repeats - 1.0) / (a - 1.0) * (1.0 - (1.0 - share) ** (a - 1.0) * series)
    return xp.maximum(grown * chance_active(process, repeats, last, age, xp), 0.0)


def chance_active(process: Mapping[str, float], repeats: Numbers, last: Numbers, age: Numbers, xp: Any = np) -> Numbers:
    """The chance that a buyer has not left for good; 1 for those of a single order, who leave only after a repeat."""
    r, alpha, a, b = (process[name] for name in ("r", "alpha", "a", "b"))
    logs = (r + repeats) * xp.log((alpha + age) / (alpha + last))
    odds = a / (b + xp.maximum(repeats, 1.0) - 1.0) * xp.exp(xp.minimum(logs, 700.0))
    return xp.where(repeats > 0, 1.0 / (1.0 + odds), 1.0)


def expected_order_value(process: Mapping[str, float], orders: Numbers, mean_value: Numbers, xp: Any = np) -> Numbers:
    """The mean value of a buyer's coming orders: the own mean, shrunk to all buyers' the more, the fewer the orders."""
    p, q, gamma = (process[name] for name in ("p", "q", "gamma"))
    return p * (gamma + orders * xp.maximum(mean_value, 0.0)) / (p * orders + q - 1.0)


def expected_spend(
    process: Mapping[str, float], inputs: Mapping[str, Numbers], *, days: float, xp: Any = np
) -> Numbers:
    """Orders times order value for the next `days`, in money; 0 for who never bought."""
    orders = xp.maximum(inputs["tx_count"], 1.0)
    value = expected_order_value(process, orders, inputs["monetary"] / orders, xp)
    coming = expected_orders(process, *history(inputs, xp), days=days, xp=xp)
    return xp.where(inputs["tx_count"] > 0, value * coming, 0.0)


def _hypergeometric(first: float, second: float, third: Array, at: Array) -> Array:
    """The Gauss series 2F1(first, second; third; at), one value per row."""
    total, term = np.ones(len(at)), np.ones(len(at))
    going = np.arange(len(at))
    for begin in range(0, MOST_TERMS, len(TERMS)):
        steps = TERMS + begin
        ratios = (first + steps) * (second + steps) / (1.0 + steps) * (at[going] / (third[going] + steps))
        terms = term[going] * np.cumprod(ratios, axis=0)
        total[going] += terms.sum(axis=0)
        term[going] = terms[-1]
        # what is left of a series that shrinks by `at` from term to term
        going = going[np.abs(term[going]) > PRECISION * (1.0 - at[going]) * np.abs(total[going])]
        if not len(going):
            break
    return total


def _hypergeometric_of_one(first: float, second: float, third: float, at: float) -> float:
    """The same for one row."""
    total = term = 1.0
    for step in range(MOST_TERMS):
        term *= (first + step) * (second + step) / (1.0 + step) * (at / (third + step))
        total += term
        if abs(term) <= PRECISION * (1.0 - at) * abs(total):
            break
    return total
