"""One row of a recommender's inputs and options: the customer's history, and what is asked for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from training.use_case import Columns

Array = np.ndarray[Any, Any]
GOLD = "gold.interactions"
DEFAULT_K = 10
CART_VIEWS = 2.0
"""A product put into the cart shows as much interest as this many views."""
HISTORY = {
    "history_product_ids": "product_id",
    "history_weights": "recency_weight",
    "history_view_counts": "view_count",
    "history_add_to_cart_counts": "add_to_cart_count",
}
"""The inputs, each a list per customer, and the columns of gold.interactions that they list."""
OPTIONS = ("k", "include_repeats", "categories", "exclude_product_ids", "country", "as_of_day")


@dataclass(frozen=True, kw_only=True)
class History:
    """What a customer did with products: recency-weighted purchases (0 for none), and views plus twice the carts."""

    product_ids: Array
    weights: Array
    interest: Array

    @classmethod
    def of(cls, inputs: Columns, row: int) -> "History":
        """A row's history; empty without the inputs, and without interest where only purchases are given."""
        products, *others = HISTORY
        if products not in inputs:
            return NO_HISTORY
        ids = np.asarray(inputs[products][row], np.int64)
        weights, views, carts = (
            np.asarray(inputs[name][row], np.float64) if name in inputs else np.zeros(len(ids)) for name in others
        )
        return cls(product_ids=ids, weights=weights, interest=views + CART_VIEWS * carts)

    @property
    def bought(self) -> Array:
        """The ids of products that were bought, not merely looked at."""
        return self.product_ids[self.weights > 0]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A row's options.

    `include_repeats` None is the model's default; without `categories` all are wanted; `as_of_day` counts days since
    1970-01-01, NaN where the moment of training is meant.
    """

    k: int
    include_repeats: bool | None
    categories: tuple[str, ...]
    excluded: Array
    country: str
    as_of_day: float

    @property
    def filters(self) -> bool:
        """Whether it asks for other products than the model would give."""
        return self.include_repeats is not None or bool(self.categories) or len(self.excluded) > 0

    @classmethod
    def of(cls, options: Columns, row: int) -> "Asked":
        """A row's options; what is absent takes its default."""
        repeats = float(options["include_repeats"][row]) if "include_repeats" in options else np.nan
        excluded = options["exclude_product_ids"][row] if "exclude_product_ids" in options else ()
        return cls(
            k=int(options["k"][row]) if "k" in options else DEFAULT_K,
            include_repeats=None if np.isnan(repeats) else bool(repeats),
            categories=tuple(map(str, options["categories"][row])) if "categories" in options else (),
            excluded=np.asarray(excluded, np.int64),
            country=str(options["country"][row]) if "country" in options else "",
            as_of_day=float(options["as_of_day"][row]) if "as_of_day" in options else np.nan,
        )


NO_HISTORY = History(product_ids=np.empty(0, np.int64), weights=np.empty(0), interest=np.empty(0))


def as_of_day(as_of: datetime) -> float:
    """A moment in days since 1970-01-01."""
    return (as_of - datetime(1970, 1, 1)).total_seconds() / 86_400
