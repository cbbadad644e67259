"""The contract's own clickstream: its marginals and all of its nonsense, in which there is nothing to learn.

Customer, product, moment, session and campaign of an event are drawn apart from each other, as in the public data set.
"""

import numpy as np

from lakehouse.sources.synthetic import rows
from lakehouse.sources.synthetic.knobs import SECONDS, Knobs
from lakehouse.sources.synthetic.season import Season
from lakehouse.sources.synthetic.streams import Array, Table, draw, stream

BLOCK = 65_536
"""Events of a block; part of what a seed means."""
PER_SESSION = 3.157
KIND_SHARES = {rows.VIEW: 1_043_573, rows.CLICK: 379_008, rows.CART: 284_370, rows.BOUNCE: 189_922}
PURCHASED = 0.0516
VARIANTS = np.array([0.0474, 0.0524, 0.0630]) / 0.05152
"""How much likelier an event of a variant is to be a purchase than any event."""
LEVELS, LEVEL_SHARES = np.array([0, 5, 10, 15, 20]), np.array([0.6, 0.15, 0.12, 0.081, 0.049])


def count_events(knobs: Knobs) -> int:
    """How many events there are; in the contract, two million."""
    return max(round(knobs.customers * knobs.density * PER_SESSION), 1)


def happened(knobs: Knobs, year: Season, campaigns: int, block: int) -> tuple[rows.Happened, Array]:
    """A block's events, in no order of time, and the discount in percent of each."""
    random, first = stream(knobs.seed, Table.EVENTS, block), block * BLOCK
    count = min(BLOCK, count_events(knobs) - first)
    start, end = np.zeros(count), np.full(count, float(knobs.days))
    source, group = draw(random, rows.SOURCE_SHARES, count), draw(random, rows.GROUP_SHARES, count)
    kind = _kinds(random, source, group)
    product = random.integers(0, knobs.products, count)
    campaign = random.integers(1, campaigns + 1, count)
    session = random.permutation(np.floor((first + np.arange(count)) / PER_SESSION).astype(np.int64))
    found = rows.Happened(
        second=np.floor(year.moments(random, start, end) * SECONDS).clip(max=rows.end_of(knobs) - 1),
        customer_id=random.integers(1, knobs.customers + 1, count),
        session_id=session + 1,
        kind=kind,
        product=np.where(kind == rows.BOUNCE, -1, product),
        campaign_id=np.where(rows.PAID[source], campaign, 0),
        source=source,
        device=draw(random, rows.DEVICE_SHARES, count),
        page=draw(random, rows.PAGE_SHARES, count),
        duration=rows.durations(random, count),
        group=group,
    )
    return found, LEVELS[draw(random, LEVEL_SHARES, count)]


def _kinds(random: np.random.Generator, source: Array, group: Array) -> Array:
    """Purchases depend on source and variant of the event, and on nothing else."""
    mean = rows.SOURCE_SHARES @ rows.INTENT
    chance = PURCHASED * rows.INTENT[source] / mean * VARIANTS[group]
    other = np.array(list(KIND_SHARES))[draw(random, np.array(list(KIND_SHARES.values())), len(source))]
    return np.where(random.random(len(source)) < chance, rows.PURCHASE, other)
