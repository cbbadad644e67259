"""What is expected of each customer, computed from the chances that the rows themselves are drawn with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from lakehouse.sources.synthetic import rows
from lakehouse.sources.synthetic.campaigns import Campaigns, Experiment
from lakehouse.sources.synthetic.catalogue import Catalogue
from lakehouse.sources.synthetic.knobs import SECONDS, Knobs
from lakehouse.sources.synthetic.people import People
from lakehouse.sources.synthetic.per_view import PerView, per_view
from lakehouse.sources.synthetic.season import Season
from lakehouse.sources.synthetic.sessions import BOUNCED, MORE_VIEWS, purchase_chance
from lakehouse.sources.synthetic.streams import Array

HORIZON = 180
"""Days of expected revenue after a cutoff."""
STEP = 90
"""Days between cutoffs."""
WINDOW_REACH = 31.5
"""Days from a campaign's start to the end of the mean window."""


@dataclass(frozen=True)
class Oracle:
    """Expectations by price sensitivity of GRID, style and category, and product, from which a customer's follow.

    `revenue[cutoff]` is what a view brings if every cart is bought; `cart[campaign]` the chance that it becomes one.
    `season` has the weight of each week after each cutoff, (weeks, cutoffs).
    """

    knobs: Knobs
    year: Season
    cutoffs: Array
    revenue: list[PerView]
    cart: list[PerView]
    season: Array

    def block(self, who: People, trial: Experiment) -> Mapping[str, pl.DataFrame]:
        """The truth tables of a block: customers, exposure, expected_revenue."""
        return {
            "customers": self._customers(who),
            "exposure": self._exposure(who, trial),
            "expected_revenue": self._expected_revenue(who, trial),
        }

    def _customers(self, who: People) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "customer_id": who.ids,
                "visit_rate": who.visit_rate,
                "dropout_rate": who.dropout_rate,
                "joined_at": _moments(self.knobs, who.joined),
                "dropout_at": _moments(self.knobs, who.dropout_day),
                "price_sensitivity": who.price_sensitivity,
                "spend": who.spend,
                "style": who.style,
                "category_weights": pl.Series(who.taste),
                "repertoire": pl.Series(who.repertoire + 1),
            }
        )

    def _exposure(self, who: People, trial: Experiment) -> pl.DataFrame:
        """Both arms; `exposed_at` is when a treated customer was reached and an untreated one would have been."""
        carts = self._carts(who, trial)
        with_it, without = (self._responds(who, trial, carts, uplift) for uplift in (trial.uplift, 0.0))
        return pl.DataFrame(
            {
                "customer_id": who.ids[trial.who],
                "campaign_id": trial.campaign + 1,
                "is_treated": trial.treated,
                "exposed_at": _moments(self.knobs, trial.exposed),
                "window_end": _moments(self.knobs, trial.until),
                "uplift": trial.uplift,
                "prob_treated": with_it,
                "prob_untreated": without,
            }
        )

    def _carts(self, who: People, trial: Experiment) -> Array:
        """The chance that a view becomes a cart, by pair."""
        found = np.empty(len(trial.who))
        for number, cart in enumerate(self.cart):
            own = np.flatnonzero(trial.campaign == number)
            found[own] = cart.of(who, trial.who[own])
        return found

    def _responds(self, who: People, trial: Experiment, carts: Array, uplift: Array | float) -> Array:
        """The chance of a purchase, not refunded, in the window; the customer is active at its start.

        Visits are Poisson until an exponential dropout: with `a` the rate of visits that buy, L the window's days and m
        the dropout rate, nobody buys with the chance (m + a exp(-(m + a) L)) / (m + a).
        """
        nothing = np.zeros(len(trial.who))
        for source, share in enumerate(rows.SOURCE_SHARES / rows.SOURCE_SHARES.sum()):
            sold = carts * purchase_chance(np.array(source), who.spend[trial.who], uplift) * (1 - rows.REFUNDED)
            nothing += share * (1 - sold) * np.exp(-MORE_VIEWS * sold)
        days, dropout = trial.until - trial.exposed, who.dropout_rate[trial.who]
        buys = who.visit_rate[trial.who] * self.year.mass(trial.exposed, trial.until) / days
        buys *= (1 - BOUNCED) * (1 - nothing)
        found: Array = 1 - (dropout + buys * np.exp(-(dropout + buys) * days)) / (dropout + buys)
        return found

    def _expected_revenue(self, who: People, trial: Experiment) -> pl.DataFrame:
        """Net revenue of the 180 days after each cutoff, of customers who had joined by then; 0 for who has left."""
        middles = 7 * np.arange(len(self.season)) + 3.5
        lasting = np.exp(-who.dropout_rate[:, None] * middles[None, :]) @ self.season
        rate, lift = _bought(who, np.arange(len(who.joined)), 0.0), self._lift(who, trial)
        pieces = rows.QUANTITY @ np.arange(1, 5) / rows.QUANTITY.sum()
        kept = pieces * (1 - 2 * rows.REFUNDED) * (1 - self.knobs.dirt.unpriced)
        parts = []
        for number, cutoff in enumerate(self.cutoffs):
            known = np.flatnonzero(who.joined < cutoff)
            active = who.dropout_day[known] > cutoff
            views = who.visit_rate[known] * lasting[known, number] * (1 - BOUNCED) * (1 + MORE_VIEWS)
            each = self.revenue[number].of(who, known) * rate[known] * (1 + lift[known, number]) * kept
            frame = {"customer_id": who.ids[known], "is_active": active, "expected_revenue_180d": active * views * each}
            parts.append(pl.DataFrame(frame).with_columns(as_of=self.knobs.start + timedelta(days=int(cutoff))))
        return pl.concat(parts) if parts else _no_revenue()

    def _lift(self, who: People, trial: Experiment) -> Array:
        """By how much campaigns raise purchases in the horizon of each cutoff, (customers, cutoffs)."""
        found = np.zeros((len(who.joined), len(self.cutoffs)))
        plain, moved = (_bought(who, trial.who, uplift) for uplift in (0.0, trial.uplift))
        gain = trial.treated * (moved / plain - 1)
        for number, cutoff in enumerate(self.cutoffs):
            overlap = np.minimum(trial.until, cutoff + HORIZON) - np.maximum(trial.exposed, cutoff)
            np.add.at(found[:, number], trial.who, gain * overlap.clip(0) / HORIZON)
        return found


def oracle(knobs: Knobs, year: Season, goods: Catalogue, told: Campaigns) -> Oracle:
    """What the oracle of a shop needs for any block; nothing in a shop without signal."""
    if knobs.mode == "kaggle":
        return Oracle(knobs, year, np.empty(0), [], [], np.empty((0, 0)))
    cutoffs = np.arange(STEP, knobs.days - HORIZON + 1, STEP)
    edges = 7.0 * np.arange(-(-HORIZON // 7) + 1)
    edges[-1] = HORIZON
    later = [year.mass(cutoff + edges[:-1], cutoff + edges[1:]) for cutoff in cutoffs]
    spent = (100 - goods.discount) * goods.cents[:, None] / 10_000
    ends = np.minimum(told.end, told.start + WINDOW_REACH)
    return Oracle(
        knobs=knobs,
        year=year,
        cutoffs=cutoffs,
        revenue=[per_view(year, goods, spent, start=float(cutoff), end=float(cutoff) + HORIZON) for cutoff in cutoffs],
        cart=[
            per_view(year, goods, np.ones_like(spent), start=float(start), end=float(end))
            for start, end in zip(told.start, ends, strict=True)
        ],
        season=np.stack(later, axis=1) if later else np.empty((len(edges) - 1, 0)),
    )


def _bought(who: People, chosen: Array, uplift: Array | float) -> Array:
    """The chance that a cart of these customers becomes a purchase, over all intents."""
    shares = rows.SOURCE_SHARES / rows.SOURCE_SHARES.sum()
    chances = [purchase_chance(np.array(source), who.spend[chosen], uplift) for source in range(len(shares))]
    found: Array = shares @ np.stack(chances)
    return found


def _moments(knobs: Knobs, days: Array) -> pl.Series:
    start = np.datetime64(knobs.start, "us")
    return pl.Series(start + np.floor(days * SECONDS).clip(max=1e10).astype(np.int64) * np.timedelta64(1_000_000, "us"))


def _no_revenue() -> pl.DataFrame:
    kinds = {"customer_id": pl.Int64, "is_active": pl.Boolean, "expected_revenue_180d": pl.Float64}
    return pl.DataFrame(schema={**kinds, "as_of": pl.Datetime("us")})
