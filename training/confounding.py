"""How far prices follow demand: a shop that discounts weak weeks makes its customers look less sensitive to price.

Demand shocks last for weeks. Where next week's price tells of this week's sales, beyond what this week's price does, it
was set by the shock: a future price cannot have caused them (past prices can, as people stock up).
"""

from typing import Any

import numpy as np

from training.truncated_poisson import Posterior, Rows, expected

Array = np.ndarray[Any, Any]
SIGNIFICANT = 1.645
"""Standard errors by which shocks must be seen to last."""
BUSY = 0.0
"""The log of a product's orders a week above which next week's having had a sale tells little by itself."""
ENOUGH_PAIRS = 500
"""Pairs of weeks in a row without which nothing is corrected."""


def price_follows_demand(rows: Rows, found: Posterior, weeks: Array) -> tuple[float, float]:
    """What to take off every elasticity, and its standard error; both 0 where nothing is seen.

    `weeks` numbers each row's week; rows are sorted by product and week. Shocks are read off next week's sales; the
    ratio of what next week's price and that shock say of this week's sales is the shock that a price stands for. It is
    drawn to 0 by its noise (James and Stein 1961).
    """
    steady = found.coefficients[rows.product, 0] > BUSY
    now = np.flatnonzero((np.diff(rows.product) == 0) & (np.diff(weeks) == 1) & steady[:-1])
    if len(now) < ENOUGH_PAIRS:
        return 0.0, 0.0
    design = np.column_stack([np.ones(len(rows.counts)), rows.inputs])
    log_rate = (found.coefficients[rows.product] * design).sum(axis=1) + rows.offset
    prior = 1 / max(found.dispersion, 0.05)
    shock = np.log((rows.counts + prior) / (np.exp(np.clip(log_rate, -8, 9)) + prior))
    price = rows.inputs[:, 0]
    told = np.column_stack([np.ones(len(now)), price[now], price[now + 1], shock[now + 1]])
    coefficients, errors = _regress(rows.counts[now], told, log_rate[now], found.dispersion)
    if coefficients[3] < SIGNIFICANT * errors[3] or coefficients[2] < errors[2]:
        return 0.0, 0.0
    follows, error = coefficients[2] / coefficients[3], errors[2] / coefficients[3]
    return float(follows - error**2 / follows), float(error)


def _regress(counts: Array, inputs: Array, offset: Array, dispersion: float) -> tuple[Array, Array]:
    """Coefficients of one Poisson regression cut at zero, for all products together, and their standard errors."""
    coefficients = np.zeros(inputs.shape[1])
    for _ in range(20):
        log_rate = inputs @ coefficients + offset
        mean, rate = expected(log_rate), np.exp(np.clip(log_rate, -8, 9))
        slope = np.maximum(mean * (1 + rate - mean), 1e-6)
        variance = slope * (1 + dispersion * rate)
        curvature = (inputs * (slope**2 / variance)[:, None]).T @ inputs + 1e-6 * np.eye(inputs.shape[1])
        step = np.linalg.solve(curvature, inputs.T @ ((counts - mean) * slope / variance))
        coefficients = coefficients + np.clip(step, -1, 1)
    scale = float(np.mean((counts - mean) ** 2 / variance))
    return coefficients, np.sqrt(np.diag(np.linalg.inv(curvature)) * scale)
