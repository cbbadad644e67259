"""What a recommender may recommend: eligible products and the rest, their popularity, and what filters ask of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ALWAYS = np.iinfo(np.int32).min
"""The launch day of a product of which none is known."""


def _numbers() -> Array:
    return np.empty(0, np.int32)


def _texts() -> Array:
    return np.empty(0, np.str_)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Products as arrays, so that they are stored and loaded as they are.

    product_ids: the eligible products, ids sorted; popularity: one number for each.
    category: for each the place of its category's name in `category_names`, -1 where unknown.
    launch_day: for each the day of its launch since 1970-01-01, `ALWAYS` where unknown.
    country_popularity: countries x eligible products, in the order of `country_names`.
    rest_*: the same of all other known products, most popular first; they fill lists that filters left short.
    """

    product_ids: Array
    popularity: Array
    category: Array = field(default_factory=_numbers)
    launch_day: Array = field(default_factory=_numbers)
    category_names: Array = field(default_factory=_texts)
    country_names: Array = field(default_factory=_texts)
    country_popularity: Array = field(default_factory=_numbers)
    rest_ids: Array = field(default_factory=_numbers)
    rest_category: Array = field(default_factory=_numbers)
    rest_launch_day: Array = field(default_factory=_numbers)

    def arrays(self) -> dict[str, Array]:
        """All fields by name, for the artifact."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> "Catalogue":
        """The inverse of `arrays`; other arrays are ignored."""
        return cls(**{entry.name: arrays[entry.name] for entry in fields(cls)})

    def positions(self, product_ids: Array) -> tuple[Array, Array]:
        """Where eligible products stand, and which of the given ids those are."""
        index = np.minimum(np.searchsorted(self.product_ids, product_ids), len(self.product_ids) - 1)
        known = self.product_ids[index] == product_ids if len(self.product_ids) else np.zeros(len(index), bool)
        return index[known], known

    def popularity_in(self, country: str) -> Array | None:
        """The products' popularity in a country; None where nothing is known of it."""
        found = np.flatnonzero(self.country_names == country)
        return self.country_popularity[found[0]] if len(found) else None

    def allowed(self, categories: tuple[str, ...], as_of_day: float) -> Array | None:
        """Which eligible products are launched and of one of the categories, if any are given; None for all."""
        return self._passes(len(self.product_ids), self.category, self.launch_day, categories, as_of_day)

    def rest(self, categories: tuple[str, ...], as_of_day: float, excluded: Array) -> Array:
        """The other products that pass the filters, most popular first."""
        passed = self._passes(len(self.rest_ids), self.rest_category, self.rest_launch_day, categories, as_of_day)
        found = self.rest_ids if passed is None else self.rest_ids[passed]
        return found[~np.isin(found, excluded)] if len(excluded) else found

    def _passes(
        self, count: int, category: Array, launch_day: Array, categories: tuple[str, ...], as_of_day: float
    ) -> Array | None:
        launched = None if not len(launch_day) or launch_day.max() <= as_of_day else launch_day <= as_of_day
        if not categories:
            return launched
        wanted = np.flatnonzero(np.isin(self.category_names, categories))
        chosen: Array = np.isin(category, wanted) if len(category) else np.zeros(count, bool)
        return chosen if launched is None else chosen & launched
