"""What a view is expected to bring, over all the products that a customer may look at."""

from dataclasses import dataclass

import numpy as np

from lakehouse.sources.synthetic.catalogue import CATEGORIES, STYLES, Catalogue
from lakehouse.sources.synthetic.people import SENSITIVITY, People
from lakehouse.sources.synthetic.season import Season
from lakehouse.sources.synthetic.sessions import HABIT, cart_chance
from lakehouse.sources.synthetic.streams import Array

GRID = np.exp(np.linspace(-4, 4, 9) * SENSITIVITY)
"""Price sensitivities that expectations are computed at; between them they are interpolated."""


@dataclass(frozen=True)
class PerView:
    """The expectation of something over the products that a view can be of.

    tasted: (sensitivities, styles, categories); usual: (sensitivities, products).
    """

    tasted: Array
    usual: Array

    def of(self, who: People, chosen: Array) -> Array:
        """For the chosen customers (indices)."""
        place = np.interp(np.log(who.price_sensitivity[chosen]), np.log(GRID), np.arange(len(GRID)))
        low = np.floor(place).clip(max=len(GRID) - 2).astype(np.int64)
        part = place - low
        sides = []
        for node in (low, low + 1):
            tasted = (self.tasted[node, who.style[chosen]] * who.taste[chosen]).sum(axis=1)
            usual = self.usual[node[:, None], who.repertoire[chosen]].mean(axis=1)
            sides.append((1 - HABIT) * tasted + HABIT * usual)
        found: Array = sides[0] ** (1 - part) * sides[1] ** part
        return found


def per_view(year: Season, goods: Catalogue, worth: Array, *, start: float, end: float) -> PerView:
    """Chance of a cart times its worth, averaged over the weeks between two moments."""
    edges = 7.0 * np.arange(goods.shock.shape[1] + 1)
    low, high = (np.clip(part, start, min(end, len(year.weight))) for part in (edges[:-1], edges[1:]))
    weight = year.mass(low, high)
    chosen = np.flatnonzero(weight > 0)
    weight = weight[chosen] / weight[chosen].sum()
    shock, percent = goods.shock[:, chosen], goods.discount[:, chosen]
    counted = worth[:, chosen] * goods.available[:, chosen]
    usual = np.stack(
        [(cart_chance(shock, percent, goods.elasticity[:, None], node) * counted) @ weight for node in GRID]
    )
    liking = goods.affinity * goods.popularity
    kinds = (goods.category[:, None] == np.arange(len(CATEGORIES))[None, :]).astype(float)
    tasted = np.einsum("sp,gp,pc->gsc", liking, usual, kinds, optimize=True)
    return PerView(tasted / (liking @ kinds).clip(1e-300).reshape(STYLES, -1), usual.clip(1e-12))
