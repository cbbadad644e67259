"""Lists computed ahead for the histories of training: found by the history itself, so no customer is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LENGTH = 20


@dataclass(frozen=True, kw_only=True)
class StoredLists:
    """The best products for histories, by the histories' digests.

    digests: sorted; list_positions and list_scores: histories x LENGTH, position -1 past a list's end.
    """

    digests: Array
    list_positions: Array
    list_scores: Array

    @classmethod
    def of(cls, digests: Array, positions: Array, scores: Array) -> "StoredLists":
        """Lists in any order."""
        kept = np.unique(digests, return_index=True)[1]
        return cls(digests=digests[kept], list_positions=positions[kept], list_scores=scores[kept])

    def arrays(self) -> Mapping[str, Array]:
        """All fields by name, for the artifact."""
        return {
            "digests": self.digests,
            "list_positions": self.list_positions,
            "list_scores": self.list_scores,
        }

    def find(self, digest: int, k: int) -> tuple[Array, Array] | None:
        """Positions and scores of the k best for a history; None where it is not known or its list is too short."""
        wanted = np.uint64(digest)
        place = int(np.searchsorted(self.digests, wanted))
        if k > self.list_positions.shape[1] or place == len(self.digests) or self.digests[place] != wanted:
            return None
        positions = self.list_positions[place, :k]
        return None if positions[-1] < 0 else (positions, self.list_scores[place, :k])
