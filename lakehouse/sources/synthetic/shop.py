"""One generated shop: what holds for all of it, and any block of it on request, in any order."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from lakehouse.sources.synthetic import kaggle, rows, sessions, truth
from lakehouse.sources.synthetic.campaigns import Campaigns, campaigns, experiment
from lakehouse.sources.synthetic.catalogue import Catalogue, catalogue
from lakehouse.sources.synthetic.knobs import Knobs
from lakehouse.sources.synthetic.oracle import Oracle, oracle
from lakehouse.sources.synthetic.people import BLOCK, Population, people, population
from lakehouse.sources.synthetic.season import Season, season
from lakehouse.sources.synthetic.streams import Array, Table, stream

ROOM = 40
"""Events that a session may have on average over a block; ids of a block start where the room before it ends."""


@dataclass(frozen=True)
class Block:
    """Rows of the contract's tables, and what is true of them."""

    raw: Mapping[str, pl.DataFrame]
    truth: Mapping[str, pl.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Shop:
    """Makes blocks; each depends on the knobs and its number alone."""

    knobs: Knobs
    year: Season
    goods: Catalogue
    told: Campaigns
    everybody: Population
    oracle: Oracle

    @classmethod
    def of(cls, knobs: Knobs) -> "Shop":
        """The shop of these knobs."""
        year, goods, told = season(knobs), catalogue(knobs), campaigns(knobs)
        everybody = population(knobs, year)
        return cls(knobs, year, goods, told, everybody, oracle(knobs, year, goods, told))

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        people_blocks = -(-self.knobs.customers // BLOCK)
        if self.knobs.mode == "rich":
            return people_blocks
        return max(people_blocks, -(-kaggle.count_events(self.knobs) // kaggle.BLOCK))

    def whole(self) -> Block:
        """The tables that have no blocks."""
        raw = {"products": self.goods.frame(self.knobs), "campaigns": self.told.frame(self.knobs)}
        return Block(raw, truth.whole(self.knobs, self.year, self.goods, self.told))

    def block(self, number: int) -> Block:
        """A block's customers, events and transactions; each transaction says its event in `event_id`."""
        return self._rich(number) if self.knobs.mode == "rich" else self._kaggle(number)

    def _rich(self, number: int) -> Block:
        knobs = self.knobs
        who, customers = people(knobs, self.goods, self.everybody, number)
        trial = experiment(knobs, self.told, self.everybody, who, number)
        came = sessions.visits(knobs, self.year, who, trial, number)
        room = 10 ** int(np.ceil(np.log10(BLOCK * max(knobs.density, 1) * ROOM)))
        found, percent = sessions.happened(stream(knobs.seed, Table.EVENTS, number), knobs, self.goods, who, came)
        events = rows.events(knobs, found, first_id=number * room + 1, first_session=number * room + 1)
        raw = {"customers": customers, "events": events}
        raw["transactions"] = self._sold(number, events, found, percent, number * room + 1)
        return Block(raw, self.oracle.block(who, trial))

    def _kaggle(self, number: int) -> Block:
        raw = {}
        if number * BLOCK < self.knobs.customers:
            raw["customers"] = people(self.knobs, self.goods, self.everybody, number)[1]
        if number * kaggle.BLOCK < kaggle.count_events(self.knobs):
            found, percent = kaggle.happened(self.knobs, self.year, len(self.told.start), number)
            raw["events"] = rows.events(self.knobs, found, first_id=number * kaggle.BLOCK + 1)
            raw["transactions"] = self._sold(number, raw["events"], found, percent, number * kaggle.BLOCK // 8 + 1)
        return Block(raw)

    def _sold(
        self, number: int, events: pl.DataFrame, found: rows.Happened, percent: Array, first_id: int
    ) -> pl.DataFrame:
        sales = np.flatnonzero(found.kind == rows.PURCHASE)
        cents = self.goods.cents[found.product[sales]]
        random = stream(self.knobs.seed, Table.SALES, number)
        return rows.transactions(random, events[sales], cents=cents, percent=percent[sales], first_id=first_id)
