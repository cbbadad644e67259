"""Products: what they cost, how demand answers to price, what each style of customer likes, and weekly discounts."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lakehouse.sources.synthetic.knobs import Knobs
from lakehouse.sources.synthetic.streams import Array, Table, dealt, draw, stream

STYLES = 12
BRANDS = 100
CATEGORIES = {  # share of products, mean and spread of ln price, mean elasticity
    "Beauty": (201, 3.399, 0.416, -1.8),
    "Electronics": (455, 4.791, 0.397, -2.7),
    "Fashion": (418, 3.892, 0.424, -2.3),
    "Grocery": (312, 2.706, 0.395, -1.4),
    "Home": (396, 4.376, 0.418, -2.0),
    "Sports": (218, 4.270, 0.365, -2.2),
}
FACTS = np.array(list(CATEGORIES.values()))
LOWEST, HIGHEST = 5.11, 464.58
DISCOUNTED = -1.1
"""Log odds of a discount in an ordinary week."""
SHALLOW, DEEP = (5, 10, 15, 20), (10, 20, 30, 40)
LEVELS = np.array([0.375, 0.30, 0.2025, 0.1225])
"""How often each level is taken, of all discounts."""
MEMORY, SHOCK = 0.6, 0.35
RANDOMISED = 0.15
"""The share of product-weeks whose discount is drawn without a look at demand: price tests."""


@dataclass(frozen=True)
class Catalogue:
    """Arrays by product, or by product and week; `launch` is in days since the start, discounts in percent.

    `cumulative` and `position` sample a taste: the products of style s and category c have the interval
    `[6 s + c, 6 s + c + 1)` of `cumulative`, and `position` says which they are.
    """

    category: Array
    brand: Array
    brand_effect: Array
    cents: Array
    launch: Array
    elasticity: Array
    popularity: Array
    affinity: Array
    cumulative: Array
    position: Array
    discount: Array
    shock: Array
    randomised: Array

    @property
    def available(self) -> Array:
        """Whether a product is on sale in a week."""
        return self.launch[:, None] <= 7 * np.arange(self.discount.shape[1])[None, :]

    def frame(self, knobs: Knobs) -> pl.DataFrame:
        """The contract's table."""
        launched = np.datetime64(knobs.start, "D") + self.launch
        return pl.DataFrame(
            {
                "product_id": np.arange(1, len(self.cents) + 1),
                "category": np.array(list(CATEGORIES))[self.category],
                "brand": [f"Brand_{number + 1}" for number in self.brand],
                "base_price": self.cents / 100,
                "launch_date": pl.Series(launched.astype("datetime64[ms]")).cast(pl.Date),
                "is_premium": (self.cents > np.median(self.cents)).astype(np.int64),
            }
        )


def catalogue(knobs: Knobs) -> Catalogue:
    """The shop's products."""
    random, signal, count = stream(knobs.seed, Table.PRODUCTS), float(knobs.mode == "rich"), knobs.products
    category = dealt(random, FACTS[:, 0], count)
    brand, effects = random.integers(0, BRANDS, count), random.normal(0, 0.25, BRANDS)
    price = np.exp(FACTS[category, 1] + FACTS[category, 2] * random.normal(0, 1, count)).clip(LOWEST, HIGHEST)
    elasticity = (FACTS[category, 3] + effects[brand] + random.normal(0, 0.35, count)).clip(-5, -0.3)
    popularity = np.exp(signal * random.normal(0, 1, count))
    affinity = np.exp(signal * random.normal(0, 1.2, (STYLES, count)))
    cumulative, position = _sampler(category, popularity * affinity)
    shock, discount, randomised = _weeks(knobs, count)
    return Catalogue(
        category=category,
        brand=brand,
        brand_effect=effects[brand],
        cents=np.round(price * 100).astype(np.int64),
        launch=_launch(random, knobs),
        elasticity=signal * elasticity,
        popularity=popularity,
        affinity=affinity,
        cumulative=cumulative,
        position=position,
        discount=discount,
        shock=shock,
        randomised=randomised,
    )


def _launch(random: np.random.Generator, knobs: Knobs) -> Array:
    """In the rich shop 70 % before the start and the others on a week's first day; else any day of the shop's time."""
    if knobs.mode == "kaggle":
        return random.integers(0, knobs.days, knobs.products)
    earlier = -7 * random.integers(1, 53, knobs.products)
    later = 7 * random.integers(1, max(knobs.weeks * 4 // 5, 2), knobs.products)
    return np.where(random.random(knobs.products) < 0.7, earlier, later)


def _sampler(category: Array, liking: Array) -> tuple[Array, Array]:
    kinds = len(CATEGORIES)
    parts: list[Array] = []
    positions: list[Array] = []
    for row in liking:
        for kind in range(kinds):
            own = np.flatnonzero(category == kind)
            parts.append(len(parts) + np.cumsum(row[own]) / row[own].sum() if len(own) else np.empty(0))
            positions.append(own)
    return np.concatenate(parts), np.concatenate(positions)


def _weeks(knobs: Knobs, count: int) -> tuple[Array, Array, Array]:
    """Demand shocks (AR(1)), discounts, and whether a discount was drawn at random; each (products, weeks)."""
    random, shape = stream(knobs.seed, Table.WEEKS), (count, knobs.weeks)
    noise = random.normal(0, SHOCK, shape)
    shock = np.empty(shape)
    shock[:, 0] = noise[:, 0]
    for week in range(1, knobs.weeks):
        shock[:, week] = MEMORY * shock[:, week - 1] + np.sqrt(1 - MEMORY**2) * noise[:, week]
    randomised = random.random(shape) < RANDOMISED
    logit = DISCOUNTED - np.where(randomised, 0, knobs.confounding * shock)
    levels = np.array(DEEP if knobs.deep else SHALLOW)[draw(random, LEVELS, count * knobs.weeks)].reshape(shape)
    discount = np.where(random.random(shape) < 1 / (1 + np.exp(-logit)), levels, 0)
    if knobs.mode == "kaggle":
        return np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, bool)
    return shock, discount, randomised
