"""Fits the purchase process (BG/NBD and Gamma-Gamma) by maximum likelihood with SciPy; bounded, so that it always ends.

Data without heterogeneity drive r to infinity, data without dropout a to 0: the bounds stop there, and the answers are
those of the simpler process that the data show.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from training.purchase_process import Array, history

MOST_CUSTOMERS = 20_000
"""A likelihood of four parameters gains nothing from more."""
PENALTY = 1e-3
BOUNDS = {"r": (0.01, 100.0), "alpha": (0.001, 1000.0), "a": (0.001, 100.0), "b": (0.01, 100.0)}
"""`alpha` in units of the customers' mean age."""
VALUE_BOUNDS = {"p": (0.01, 1000.0), "q": (1.05, 1000.0), "gamma": (0.001, 1000.0)}
"""`gamma` in units of the mean order value; the mean exists for q above 1 only."""


def fit_process(inputs: Mapping[str, Array]) -> dict[str, float]:
    """r, alpha (days), a, b, p, q and gamma (money) of buyers, one row each; of non-buyers nothing is learnt."""
    chosen = np.flatnonzero((inputs["tx_count"] > 0) & np.isfinite(inputs["tenure_days"] + inputs["recency_days"]))
    if len(chosen) > MOST_CUSTOMERS:
        chosen = np.random.default_rng(0).permutation(chosen)[:MOST_CUSTOMERS]
    rows = {name: inputs[name][chosen] for name in ("tx_count", "monetary", "tenure_days", "recency_days")}
    return {**_fit_orders(*history(rows)), **_fit_values(rows["tx_count"], rows["monetary"])}


def _fit_orders(repeats: Array, last: Array, age: Array) -> dict[str, float]:
    unit = max(float(age.mean()), 1.0) if len(age) else 1.0
    found = _maximise(lambda values: _orders_likelihood(values, repeats, last / unit, age / unit), BOUNDS)
    return {**found, "alpha": found["alpha"] * unit}


def _fit_values(orders: Array, monetary: Array) -> dict[str, float]:
    bought = monetary > 0
    orders, mean = orders[bought], monetary[bought] / orders[bought]
    unit = float(mean.mean()) if len(mean) else 1.0
    found = _maximise(lambda values: _values_likelihood(values, orders, mean / unit), VALUE_BOUNDS)
    return {**found, "gamma": found["gamma"] * unit}


def _orders_likelihood(values: Array, repeats: Array, last: Array, age: Array) -> Array:
    from scipy.special import betaln, gammaln

    r, alpha, a, b = values
    common = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha) + betaln(a, b + repeats) - betaln(a, b)
    stayed = -(r + repeats) * np.log(alpha + age)
    left = np.log(a / (b + np.maximum(repeats, 1.0) - 1.0)) - (r + repeats) * np.log(alpha + last)
    likelihood: Array = common + np.where(repeats > 0, np.logaddexp(stayed, left), stayed)
    return likelihood


def _values_likelihood(values: Array, orders: Array, mean: Array) -> Array:
    from scipy.special import betaln

    p, q, gamma = values
    whole = p * orders
    likelihood: Array = (
        -betaln(whole, q)
        + q * np.log(gamma)
        + (whole - 1.0) * np.log(mean)
        + whole * np.log(orders)
        - (whole + q) * np.log(gamma + orders * mean)
    )
    return likelihood


def _maximise(likelihood: Callable[[Any], Array], bounds: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The parameters of the greatest mean log-likelihood within bounds, pulled a little to 1; found on their logs."""
    from scipy.optimize import minimize

    limits = np.log(list(bounds.values()))
    start = np.clip(np.zeros(len(bounds)), limits[:, 0] + 0.1, limits[:, 1])

    def loss(logs: Array) -> float:
        rows = likelihood(np.exp(logs))
        value = -float(rows.mean()) if len(rows) else 0.0
        return (value if np.isfinite(value) else 1e10) + PENALTY * float(np.square(logs).sum())

    found = minimize(loss, start, method="L-BFGS-B", bounds=limits)
    best = found.x if np.isfinite(found.fun) else start
    return dict(zip(bounds, np.exp(best).tolist(), strict=True))
