"""Random numbers: one stream per table and fixed-size block, so that neither order nor workers change a byte."""

from enum import IntEnum
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Table(IntEnum):
    """What a stream is for; the numbers are part of every seed and must not change."""

    PRODUCTS = 1
    WEEKS = 2
    CAMPAIGNS = 3
    POPULATION = 4
    CUSTOMERS = 5
    EXPOSURES = 6
    SESSIONS = 7
    EVENTS = 8
    SALES = 9
    DIRT = 10


def stream(seed: int, table: Table, block: int = 0) -> np.random.Generator:
    """The generator of a block of a table."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, int(table), block])))


def draw(random: np.random.Generator, shares: Array, count: int) -> Array:
    """Indices into `shares`, drawn in proportion to them."""
    cumulative = np.cumsum(shares) / np.sum(shares)
    found: Array = np.searchsorted(cumulative[:-1], random.random(count), side="right")
    return found


def dealt(random: np.random.Generator, shares: Array, count: int) -> Array:
    """Indices into `shares` in random order, as many of each as its share says, to the nearest whole number."""
    edges = np.round(np.cumsum(shares) / np.sum(shares) * count).astype(np.int64)
    return random.permutation(np.repeat(np.arange(len(shares)), np.diff(edges, prepend=0)))
