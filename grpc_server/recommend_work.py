"""The work of a call for recommendations: precomputed lists, else the model is asked with each item's history."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grpc_server import item_lists
from grpc_server.call import Array
from grpc_server.item_lists import ItemList
from grpc_server.online_features import FeatureSnapshot
from grpc_server.recommend_options import NOTHING_ASKED, RecommendOptions, options, product_ids
from grpc_server.work import Lists, Work
from training.columns import object_array, plain
from training.recommend_request import DEFAULT_K, HISTORY, as_of_day

CUSTOMERS, PRODUCTS = "gold.customer_features", "gold.product_features"


class RecommendWork(Work):
    """Each item's history in the lake, with the recent products that the request names."""

    def run(self) -> None:
        """Predict the items that can be."""
        items = self.valid
        if not items:
            return
        count = len(self.errors)
        self._asked = list(self.call.recommend) or [NOTHING_ASKED] * count
        self._k = [k or DEFAULT_K for k in self.call.k] or [DEFAULT_K] * count
        self._day = as_of_day(self.snapshot.as_of) if self.snapshot else np.nan
        self._lengths = [0.0] * count
        found = self._precomputed(items)
        others = [item for item in items if item not in found]
        if others:
            found |= zip(others, item_lists.of_outputs(self._computed(others)), strict=True)
        lists = [found[item] for item in items]
        for item, (encoded, *_) in zip(items, lists, strict=True):
            self.warnings[item] += [] if encoded else ["no_products_left"]
        self._log(items, lists)
        self.outputs = {name: self._spread(column, items) for name, column in item_lists.columns(lists).items()}

    def _precomputed(self, items: list[int]) -> dict[int, ItemList]:
        """The lists that were made before anybody asked, of the items that ask for nothing else."""
        table = self.state.precomputed.get((self.use_case.name, self.served.version))
        if table is None or self.snapshot is None or self.call.explain:
            return {}
        plain = [
            item
            for item, position in zip(items, self.positions[items].tolist(), strict=True)
            if position >= 0 and self._asked[item] is NOTHING_ASKED and self._k[item] <= DEFAULT_K
        ]
        positions = self.positions[plain]
        lengths = self.snapshot.history_lengths(positions).tolist()
        rows: list[ItemList] = table[positions].tolist()
        found = {}
        for item, length, row in zip(plain, lengths, rows, strict=True):
            self._lengths[item] = float(length)
            found[item] = row if self._k[item] == DEFAULT_K else item_lists.shortened(row, self._k[item])
        return found

    def _computed(self, items: list[int]) -> Lists:
        """What the model answers to the items' histories."""
        asked = [self._asked[item] for item in items]
        inputs = histories(self.snapshot, self.positions[items], asked, self.state.features.get(PRODUCTS))
        for item, products in zip(items, inputs["history_product_ids"], strict=True):
            self._lengths[item] = float(len(products))
            if not len(products):
                self.warnings[item].append("cold_start")
                self._asked[item] = self._with_country(item)
        return self._ask(inputs, self._options(items))

    def _options(self, items: list[int]) -> dict[str, Array]:
        return {
            "k": np.array([self._k[item] for item in items], dtype=np.int64),
            **options([self._asked[item] for item in items]),
            "as_of_day": np.full(len(items), self._day),
        }

    def _with_country(self, item: int) -> RecommendOptions:
        """The options with the country that the lake has for the customer, where the request gives none."""
        asked, customers = self._asked[item], self.state.features.get(CUSTOMERS)
        if asked.country or customers is None:
            return asked
        return replace(asked, country=customers.text("country", customers.position(int(self.ids[item]))))

    def _log(self, items: list[int], lists: Sequence[ItemList]) -> None:
        self.logged = {"history_length": [self._lengths[item] for item in items]}
        if any(one.recent_product_ids for one in {id(one): one for one in self._asked}.values()):
            self.logged["recent_product_ids"] = [list(self._asked[item].recent_product_ids) for item in items]
        asked = {name: plain(column) for name, column in self._options(items).items() if name != "as_of_day"}
        outputs = zip(*map(item_lists.logged, lists), strict=True)
        self.logged |= asked | dict(zip(item_lists.OUTPUTS, map(list, outputs), strict=True))


def histories(
    snapshot: FeatureSnapshot | None,
    positions: Array,
    asked: Sequence[RecommendOptions],
    products: FeatureSnapshot | None,
) -> dict[str, Array]:
    """The model's inputs: each item's history in the lake, and its recent products, if the lake has them, as of today.

    A recent product counts as one purchase.
    """
    rows = [
        _with_recent(snapshot.history(position) if snapshot else _nothing(), _known(item.recent_product_ids, products))
        for position, item in zip(positions.tolist(), asked, strict=True)
    ]
    return {name: object_array([row[place] for row in rows]) for place, name in enumerate(HISTORY)}


def _known(recent: Sequence[str], products: FeatureSnapshot | None) -> Array:
    ids = product_ids(recent)
    return ids[products.positions(ids) >= 0] if len(ids) and products else ids


def _nothing() -> tuple[Array, ...]:
    return (np.empty(0, np.int64), *(np.empty(0) for _ in list(HISTORY)[1:]))


def _with_recent(history: tuple[Array, ...], recent: Array) -> tuple[Array, ...]:
    """One purchase of weight 1 for each recent product, added to what is there; sorted by product."""
    if not len(recent):
        return history
    ids, (weights, *others) = history[0], history[1:]
    every = np.union1d(ids, recent)
    spread = [np.zeros(len(every)) for _ in history[1:]]
    for column, values in zip(spread, (weights, *others), strict=True):
        column[np.searchsorted(every, ids)] = values
    np.add.at(spread[0], np.searchsorted(every, recent), 1.0)
    return (every, *spread)
