"""Customers: how often they come (Pareto/NBD), what they like, what they spend, and what the shop is told of them."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lakehouse.sources.synthetic.catalogue import CATEGORIES, FACTS, STYLES, Catalogue
from lakehouse.sources.synthetic.knobs import Knobs
from lakehouse.sources.synthetic.season import MEAN_LIFE, Season, mean_active, signup_days
from lakehouse.sources.synthetic.streams import Array, Table, draw, stream

BLOCK = 4096
"""Customers of a block; part of what a seed means."""
REPERTOIRE = 5
SHAPE = 1.2
SENSITIVITY, SPEND = 0.25, 0.35
CHANNELS = {"Organic": 0.40, "Paid Search": 0.25, "Social": 0.17, "Email": 0.11, "Referral": 0.07}
COUNTRIES = {"US": 35.1, "IN": 20.1, "UK": 10.1, "BR": 10.0, "CA": 9.8, "DE": 7.8, "AU": 7.1}
GENDERS = {"Male": 0.50, "Female": 0.46, "Other": 0.04}
TIERS = {"Bronze": 0.50, "Silver": 0.30, "Gold": 0.17, "Platinum": 0.03}


@dataclass(frozen=True)
class Population:
    """What holds for all blocks: the mean visit rate, the thresholds of the tiers, and from where on value is high.

    Value is the logarithm of visit rate times spend; tiers follow it with noise.
    """

    visit_rate: float
    tiers: Array
    high_value: float


@dataclass(frozen=True)
class People:
    """The customers of a block, from number `first` on; days since the start, rates per day.

    joined: when they start to come; those who signed up before the shop's time start with it.

    taste: (customers, categories); repertoire: (customers, 5) products that are looked at again and again.
    """

    first: int
    joined: Array
    visit_rate: Array
    dropout_rate: Array
    dropout_day: Array
    price_sensitivity: Array
    spend: Array
    style: Array
    taste: Array
    repertoire: Array

    @property
    def ids(self) -> Array:
        """Their customer ids."""
        return np.arange(self.first + 1, self.first + 1 + len(self.joined))

    @property
    def value(self) -> Array:
        """The logarithm of visit rate times spend."""
        found: Array = np.log(self.visit_rate * self.spend)
        return found


def population(knobs: Knobs, year: Season) -> Population:
    """Thresholds from a sample of their own, so that a block needs no other block."""
    random, rate = stream(knobs.seed, Table.POPULATION), knobs.density / mean_active(year)
    value = np.log(rate * random.gamma(SHAPE, 1 / SHAPE, 20_000)) + random.normal(0, SPEND, 20_000)
    noisy = value + random.normal(0, 0.7, 20_000)
    shares = np.cumsum(list(TIERS.values()))[:-1]
    return Population(rate, np.quantile(noisy, shares), float(np.quantile(value, 0.7)))


def people(knobs: Knobs, goods: Catalogue, everybody: Population, block: int) -> tuple[People, pl.DataFrame]:
    """A block's customers, and their rows of the contract's table."""
    random, first = stream(knobs.seed, Table.CUSTOMERS, block), block * BLOCK
    count = min(BLOCK, knobs.customers - first)
    signup = signup_days(random.beta(1, 1.6, count), knobs.days)
    joined = signup.clip(0)
    dropout_rate = random.exponential(1 / MEAN_LIFE, count).clip(1e-9)
    taste = random.dirichlet(8 * FACTS[:, 0] / FACTS[:, 0].sum(), count)
    taste[:, np.bincount(goods.category, minlength=len(CATEGORIES)) == 0] = 0
    taste /= taste.sum(axis=1, keepdims=True)
    style = random.integers(0, STYLES, count)
    whose = np.repeat(np.arange(count), REPERTOIRE)
    found = People(
        first=first,
        joined=joined,
        visit_rate=everybody.visit_rate * random.gamma(SHAPE, 1 / SHAPE, count).clip(1e-9),
        dropout_rate=dropout_rate,
        dropout_day=joined + random.exponential(1, count) / dropout_rate,
        price_sensitivity=np.exp(random.normal(0, SENSITIVITY, count)),
        spend=np.exp(random.normal(0, SPEND, count)),
        style=style,
        taste=taste,
        repertoire=pick(random, goods, np.cumsum(taste, axis=1), style, whose).reshape(count, REPERTOIRE),
    )
    tier = draw(random, np.array(list(TIERS.values())), count)
    if knobs.mode == "rich":
        tier = np.searchsorted(everybody.tiers, found.value + random.normal(0, 0.7, count))
    else:
        signup = random.random(count) * knobs.days
    return found, _frame(random, knobs, found.ids, signup, tier)


def pick(random: np.random.Generator, goods: Catalogue, cumulative: Array, style: Array, who: Array) -> Array:
    """One product for each entry of `who`, from that customer's taste; `cumulative` is over the categories."""
    chance, kind = random.random(len(who)), np.zeros(len(who), np.int64)
    for column in range(cumulative.shape[1] - 1):
        kind += chance >= cumulative[who, column]
    sought = style[who] * len(CATEGORIES) + kind + random.random(len(who))
    found: Array = goods.position[np.searchsorted(goods.cumulative, sought).clip(max=len(goods.position) - 1)]
    return found


def _frame(random: np.random.Generator, knobs: Knobs, ids: Array, signup: Array, tier: Array) -> pl.DataFrame:
    signed = np.datetime64(knobs.start, "D") + np.floor(signup).astype(np.int64)
    count = len(ids)

    def named(shares: dict[str, float]) -> Array:
        found: Array = np.array(list(shares))[draw(random, np.array(list(shares.values())), count)]
        return found

    return pl.DataFrame(
        {
            "customer_id": ids,
            "signup_date": pl.Series(signed.astype("datetime64[ms]")).cast(pl.Date),
            "country": named(COUNTRIES),
            "age": random.normal(35, 11, count).round().clip(18, 70).astype(np.int64),
            "gender": named(GENDERS),
            "loyalty_tier": np.array(list(TIERS))[tier],
            "acquisition_channel": named(CHANNELS),
        }
    )
