"""What a recommendation may ask for beside k, transport apart: its limits, and the model's options made of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grpc_server.errors import Violation
from training.columns import object_array

Array = np.ndarray[Any, Any]
MAX_CATEGORIES = 100
MAX_PRODUCTS = 1000
MAX_TEXT = 64


@dataclass(frozen=True, kw_only=True)
class RecommendOptions:
    """One item's options, as in the RecommendRequest message; `include_repeats` None and `country` "" where absent."""

    include_repeats: bool | None = None
    categories: tuple[str, ...] = ()
    exclude_product_ids: tuple[str, ...] = ()
    recent_product_ids: tuple[str, ...] = ()
    country: str = ""

    def violations(self) -> Iterable[Violation]:
        """What is longer than it may be."""
        limits = {"categories": MAX_CATEGORIES, "exclude_product_ids": MAX_PRODUCTS, "recent_product_ids": MAX_PRODUCTS}
        for name, limit in limits.items():
            if (count := len(getattr(self, name))) > limit:
                yield Violation(name, f"must be at most {limit:,} entries, not {count:,}")
            if any(len(text) > MAX_TEXT for text in getattr(self, name)):
                yield Violation(name, f"has an entry that is longer than {MAX_TEXT} characters")
        if len(self.country) > MAX_TEXT:
            yield Violation("country", f"is longer than {MAX_TEXT} characters")


NOTHING_ASKED = RecommendOptions()


def options(asked: Sequence[RecommendOptions]) -> dict[str, Array]:
    """The model's options, one entry per item; what items share is converted once."""
    distinct = {id(item): item for item in asked}
    excluded = {one: product_ids(one).tolist() for one in {item.exclude_product_ids for item in distinct.values()}}
    rows = {place: _row(item, excluded[item.exclude_product_ids]) for place, item in distinct.items()}
    repeats, *others = zip(*[rows[id(item)] for item in asked], strict=True)
    names = ("categories", "exclude_product_ids", "country")
    return {
        "include_repeats": np.array(repeats),
        **{name: object_array(list(column)) for name, column in zip(names, others, strict=True)},
    }


def _row(asked: RecommendOptions, excluded: list[int]) -> tuple[float, list[str], list[int], str]:
    repeats = np.nan if asked.include_repeats is None else float(asked.include_repeats)
    return repeats, list(asked.categories), excluded, asked.country


def product_ids(given: Sequence[str]) -> Array:
    """The lake's ids of the wire's; what is no id of the lake is left out."""
    return np.array([number for text in given if (number := lake_id(text)) >= 0], dtype=np.int64)


def lake_id(entity: str) -> int:
    """The lake's id for the wire's; -1, which no snapshot has, for what is no id of the lake."""
    return int(entity) if entity.isdecimal() and entity.isascii() and len(entity) < 19 else -1
