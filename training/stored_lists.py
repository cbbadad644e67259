"""Lists computed ahead for the histories of training: found by the history itself, so no customer is named."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LENGTH = 20


@dataclass(frozen=True, kw_only=True)
class StoredLists:
    """The best products for histories, by the histories' digests.

    digests: sorted. The others are histories x LENGTH. list_positions: in the catalogue, -1 past a list's end.
    list_bought: whether the product is one of the history's purchases.
    """

    digests: Array
    list_positions: Array
    list_scores: Array
    list_bought: Array

    @classmethod
    def of(cls, digests: Array, positions: Array, scores: Array, bought: Array) -> "StoredLists":
        """Lists in any order."""
        kept = np.unique(digests, return_index=True)[1]
        return cls(
            digests=digests[kept],
            list_positions=positions[kept],
            list_scores=scores[kept],
            list_bought=bought[kept],
        )

    @classmethod
    def load(cls, arrays: Mapping[str, Array]) -> "StoredLists | None":
        """The inverse of `arrays`, among others; None where there are none."""
        names = [entry.name for entry in fields(cls)]
        return cls(**{name: arrays[name] for name in names}) if all(name in arrays for name in names) else None

    def arrays(self) -> Mapping[str, Array]:
        """All fields by name, for the artifact."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def find(self, digest: int, k: int) -> tuple[Array, Array, Array] | None:
        """Positions, scores and purchases of the k best for a history; None where it is not known or has fewer."""
        place = bisect_left(self._digests, digest)
        if k > self.list_positions.shape[1] or place == len(self._digests) or self._digests[place] != digest:
            return None
        positions = self.list_positions[place, :k]
        return None if positions[-1] < 0 else (positions, self.list_scores[place, :k], self.list_bought[place, :k])

    @cached_property
    def _digests(self) -> memoryview:
        """To look one up costs less without NumPy."""
        return np.ascontiguousarray(self.digests).data
