"""Counts of weeks that had a sale: a Poisson regression per product, cut at zero, whose slopes share priors.

What a product cost in a week without a sale is not in the receipts, and neither is whether it was on the shelf. So only
weeks with sales are used, and the likelihood is that of a count known to be above zero (Plackett 1953): without that, a
slow seller's price cuts, which mostly fill empty weeks, would seem to do nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ROUNDS = 25
WARM_UP = 4
"""Rounds before outliers are cut and the dispersion is measured."""
OUTLIER = 3.0
"""Standard deviations beyond which a week's count pulls no harder."""
STEPS = 20
"""Steps of EM in every round."""
LEAST_SPREAD = 0.02
"""The least variance of true slopes: no shop's products all answer alike."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """n product-weeks: `counts` (at least 1), `inputs` (n x k, centred per product), `offset` (log of the exposure).

    `product` numbers each row's product from 0, `category` is the number of each product's category, and `identified`
    says of each product whether its first input, the price, moved.
    """

    counts: Array
    inputs: Array
    offset: Array
    product: Array
    category: Array
    identified: Array

    def per_product(self, values: Array) -> Array:
        """Sums of a row's value over each product."""
        return np.bincount(self.product, values, len(self.category))


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What the fit knows of each product: `coefficients` (intercept, then k slopes) and the first slope's `variance`.

    `dispersion` is what the variance grows by with the mean (negative binomial), `spread` the standard deviation of the
    first slope between products of a category.
    """

    coefficients: Array
    variance: Array
    dispersion: float
    spread: float


def expected(log_rate: Array) -> Array:
    """The mean of a Poisson count that is known to be above zero."""
    rate = np.exp(np.clip(log_rate, -8, 9))
    mean: Array = rate / -np.expm1(-rate)
    return mean


def fit(rows: Rows) -> Posterior:
    """Posterior modes of all products at once, by Newton's method; the priors are re-estimated in every round.

    The first slope is drawn to its category's mean, that to the mean of all; further slopes to the mean of all
    (empirical Bayes, Laplace approximation).
    """
    prior = _Prior(rows)
    design = np.column_stack([np.ones(len(rows.counts)), rows.inputs])
    theta = np.column_stack([_start(rows), prior.means])
    anchor = theta[:, 0].copy()
    dispersion, scale = 0.1, 1.0
    for number in range(ROUNDS):
        log_rate = (theta[rows.product] * design).sum(axis=1) + rows.offset
        mean = expected(log_rate)
        rate = np.exp(np.clip(log_rate, -8, 9))
        slope = np.maximum(mean * (1 + rate - mean), 1e-6)
        variance = slope * (1 + dispersion * rate)
        residual = rows.counts - mean
        if number > WARM_UP:
            scale = max(float(np.mean(residual**2 / variance)), 0.2)
            dispersion = _dispersion(residual, slope, rate, variance)
            residual = np.clip(residual, -OUTLIER * np.sqrt(variance), OUTLIER * np.sqrt(variance))
        gradient, curvature = _derivatives(rows, design, residual * slope / variance, slope**2 / variance)
        gradient, curvature = gradient / scale, curvature / scale
        gradient[:, 0] -= (theta[:, 0] - anchor) / 9
        gradient[:, 1:] -= (theta[:, 1:] - prior.means) / prior.spreads
        diagonal = np.arange(theta.shape[1])
        curvature[:, diagonal, diagonal] += np.concatenate([[1 / 9], 1 / prior.spreads])
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        spread = np.linalg.inv(curvature)
        # the whole step: what the data alone say is told from it and the prior that it was made with
        prior.update((theta + step)[:, 1:], spread[:, diagonal[1:], diagonal[1:]])
        theta += np.clip(step, -1, 1)
    return Posterior(
        coefficients=theta,
        variance=prior.posterior_variance(spread[:, 1, 1]),
        dispersion=dispersion,
        spread=float(np.sqrt(prior.spreads[0])),
    )


class _Prior:
    """Means (products x k) and variances (k) of the slopes."""

    def __init__(self, rows: Rows) -> None:
        shape = (len(rows.category), rows.inputs.shape[1])
        self._category, self._identified = rows.category, rows.identified
        self.means = np.zeros(shape)
        self.spreads = np.ones(shape[1])
        self.uncertainty: Array = np.zeros(shape[0])
        self._between = 0.25

    def update(self, slopes: Array, variances: Array) -> None:
        """Estimate means and variances anew from the products whose price moved.

        Steps of EM on what the data alone say of each slope, which is the posterior less this prior.
        """
        known = self._identified
        if not known.any():
            return
        precision = np.maximum(1 / variances - 1 / self.spreads, 1e-6)
        alone = slopes + (slopes - self.means) / self.spreads / precision
        for _ in range(STEPS):
            total = precision + 1 / self.spreads
            drawn = (alone * precision + self.means / self.spreads) / total
            self._step(drawn, 1 / total)

    def posterior_variance(self, variances: Array) -> Array:
        """The first slope's variance, given its `variances` were the prior known: it is estimated too.

        Spread is taken at the upper end of its 90 % interval, and the category's mean is unsure as far as a product
        leans on it: intervals of empirical Bayes cover too little otherwise (Morris 1983).
        """
        spread = self.spreads[0]
        precision = np.maximum(1 / variances - 1 / spread, 1e-6)
        weights = 1 / (1 / precision + spread)[self._identified]
        wide = spread + 1.645 * np.sqrt(2 / max(float(np.sum(weights**2)), 1e-9))
        leaning = 1 / (1 + precision * spread)
        found: Array = 1 / (precision + 1 / wide) + leaning**2 * self.uncertainty
        return found

    def _step(self, slopes: Array, variances: Array) -> None:
        known = self._identified
        means = slopes[known].mean(axis=0)
        categories = int(self._category.max()) + 1
        sizes = np.bincount(self._category[known], minlength=categories)
        sums = np.bincount(self._category[known], slopes[known, 0] - means[0], categories)
        trust = self._between / (self._between + self.spreads[0] / np.maximum(sizes, 1)) * (sizes > 0)
        effects = trust * sums / np.maximum(sizes, 1)
        unsure = self._between * (1 - trust)
        self._between = max(float(np.mean((effects**2 + unsure)[sizes > 0])), 0.01)
        self.means = np.tile(means, (len(slopes), 1))
        self.means[:, 0] += effects[self._category]
        self.uncertainty = unsure[self._category]
        apart = (slopes - self.means)[known] ** 2 + variances[known]
        self.spreads = np.maximum(apart.mean(axis=0), LEAST_SPREAD)


def _start(rows: Rows) -> Array:
    """Log of each product's count per exposure."""
    exposure = np.maximum(rows.per_product(np.exp(rows.offset)), 1e-9)
    log_rate: Array = np.log(np.maximum(rows.per_product(rows.counts) / exposure, 1e-3))
    return log_rate


def _dispersion(residual: Array, slope: Array, rate: Array, variance: Array) -> float:
    """By moments: how much squared residuals exceed a Poisson's variance, in units of variance times rate."""
    excess = slope * rate
    found = np.sum(excess * (residual**2 - slope) / variance**2) / np.sum((excess / variance) ** 2)
    return float(np.clip(found, 0.0, 2.0))


def _derivatives(rows: Rows, design: Array, score: Array, weight: Array) -> tuple[Array, Array]:
    """Gradient (products x c) and curvature (products x c x c) of the log-likelihood."""
    width = design.shape[1]
    gradient = np.column_stack([rows.per_product(score * design[:, i]) for i in range(width)])
    curvature = np.empty((len(gradient), width, width))
    for i in range(width):
        for j in range(i, width):
            curvature[:, i, j] = curvature[:, j, i] = rows.per_product(weight * design[:, i] * design[:, j])
    return gradient, curvature
