"""Campaigns, and the experiment in each: who of its segment is in it, and who of those is treated."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lakehouse.sources.synthetic import rows
from lakehouse.sources.synthetic.knobs import Knobs
from lakehouse.sources.synthetic.people import SENSITIVITY, People, Population
from lakehouse.sources.synthetic.season import MEAN_LIFE
from lakehouse.sources.synthetic.streams import Array, Table, dealt, draw, stream

CHANNELS = {"Paid Search": 11, "Email": 11, "Affiliate": 11, "Display": 9, "Social": 8}
OBJECTIVES = {"Reactivation": 15, "Retention": 13, "Cross-sell": 12, "Acquisition": 10}
SEGMENTS = {"New Customers": 12, "Churn Risk": 11, "Deal Seekers": 10, "High Value": 9, "All": 8}
REACH = 0.6
"""The share of a segment, not in another campaign, that is in the experiment."""
TREATED = 0.8
EXPOSED_WITHIN = 3
"""Days from the campaign's start until all the treated are reached."""
WINDOW = 30
"""Days from the exposure that the effect lasts at most; the lake counts responses as long."""


@dataclass(frozen=True)
class Campaigns:
    """Arrays by campaign; days since the start; `end` is the first moment after the last day."""

    channel: Array
    objective: Array
    segment: Array
    start: Array
    end: Array
    uplift: Array
    expected_uplift: Array

    def frame(self, knobs: Knobs) -> pl.DataFrame:
        """The contract's table."""
        first = np.datetime64(knobs.start, "D")
        dates = [pl.Series((first + day).astype("datetime64[ms]")).cast(pl.Date) for day in (self.start, self.end - 1)]
        return pl.DataFrame(
            {
                "campaign_id": np.arange(1, len(self.start) + 1),
                "channel": np.array(list(CHANNELS))[self.channel],
                "objective": np.array(list(OBJECTIVES))[self.objective],
                "start_date": dates[0],
                "end_date": dates[1],
                "target_segment": np.array(list(SEGMENTS))[self.segment],
                "expected_uplift": self.expected_uplift,
            }
        )


@dataclass(frozen=True)
class Experiment:
    """The pairs of a block's customer (index) and campaign (index), treated or not.

    From `exposed` to `until` (days since the start) a treated customer's carts become purchases `1 + uplift` times as
    often, and sessions are linked to the campaign. A customer is in one campaign at a time, in either arm.
    """

    who: Array
    campaign: Array
    treated: Array
    exposed: Array
    until: Array
    uplift: Array
    group: Array


def campaigns(knobs: Knobs) -> Campaigns:
    """Fifty in the contract's three years, in proportion else."""
    random, rich = stream(knobs.seed, Table.CAMPAIGNS), knobs.mode == "rich"
    count = max(round(50 * knobs.days / 1095), 2) if rich else 50
    latest = max(knobs.days - 10, 21)
    start = random.integers(20, latest, count)
    start = np.sort(start) if rich else start
    days = np.round(8 + 81 * random.beta(1.13, 1, count)).astype(np.int64)
    uplift = random.normal(0.25, 0.12, count).clip(0, 0.8) * rich
    plan = 0.0867 + 0.1 * (uplift - 0.25 * rich) + random.normal(0, 0.025, count)
    return Campaigns(
        channel=dealt(random, np.array(list(CHANNELS.values())), count),
        objective=dealt(random, np.array(list(OBJECTIVES.values())), count),
        segment=dealt(random, np.array(list(SEGMENTS.values())), count),
        start=start,
        end=start + days + 1,
        uplift=uplift,
        expected_uplift=plan.clip(0.022, 0.144).round(3),
    )


def experiment(knobs: Knobs, told: Campaigns, everybody: Population, who: People, block: int) -> Experiment:
    """A block's pairs, campaign by campaign in the order of their starts."""
    random, count = stream(knobs.seed, Table.EXPOSURES, block), len(who.joined)
    busy = np.zeros(count)
    chosen = []
    for number in np.argsort(told.start, kind="stable"):
        start = told.start[number]
        here = (who.joined < start) & (who.dropout_day > start + EXPOSED_WITHIN) & (busy <= start)
        mine = here & _segment(told.segment[number], everybody, who, start) & (random.random(count) < REACH)
        busy[mine] = told.end[number]
        chosen.append(np.stack([np.flatnonzero(mine), np.full(mine.sum(), number)]))
    pairs = np.concatenate(chosen, axis=1)
    customer, campaign = pairs
    exposed = told.start[campaign] + 0.01 + (EXPOSED_WITHIN - 0.02) * random.random(len(customer))
    return Experiment(
        who=customer,
        campaign=campaign,
        treated=random.random(len(customer)) < TREATED,
        exposed=exposed,
        until=np.minimum(exposed + WINDOW, told.end[campaign]),
        uplift=told.uplift[campaign] * who.price_sensitivity[customer],
        group=draw(random, rows.GROUP_SHARES, len(customer)),
    )


def _segment(segment: int, everybody: Population, who: People, start: float) -> Array:
    """Who is of a target segment, by what they truly are."""
    name = list(SEGMENTS)[segment]
    members: dict[str, Array] = {
        "New Customers": who.joined >= start - 90,
        "Churn Risk": who.dropout_rate > 1 / MEAN_LIFE,
        "Deal Seekers": who.price_sensitivity > np.exp(SENSITIVITY * 0.25),
        "High Value": who.value > everybody.high_value,
        "All": np.ones(len(who.joined), bool),
    }
    return members[name]
