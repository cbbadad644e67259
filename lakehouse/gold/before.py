"""Totals of what happened before a moment, for many moments at once: what every point-in-time feature is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl

from lakehouse.gold.cells import Parts
from lakehouse.gold.grid import Crossed, Grid, Pairs

KEY = ["as_of", "customer_id"]


@dataclass(frozen=True)
class Keys:
    """The (as_of, customer_id) whose features are wanted, in order of as_of; totals can be had in any order.

    axes: the moments and the customers, where all customers share their as_ofs, which is much quicker to compute.
    """

    frame: pl.DataFrame
    axes: tuple[pl.Series, pl.Series] | None = None

    @cached_property
    def grid(self) -> Grid:
        """A place for each of them."""
        return Crossed(*self.axes) if self.axes else Pairs(self.frame["as_of"], self.frame["customer_id"])

    @classmethod
    def crossed(cls, moments: pl.Series, customers: pl.Series) -> "Keys":
        """All customers at each of the moments, sorted."""
        moments, customers = moments.unique().sort().alias("as_of"), customers.unique().sort().alias("customer_id")
        pairs = moments.to_frame().join(customers.to_frame(), how="cross", maintain_order="left_right")
        return cls(pairs.select(KEY), (moments, customers))

    def earlier(self, spans: Sequence[timedelta]) -> "Keys":
        """Those that lie the spans before these: all by the first span in the order of these, then by the next."""
        axes = self.axes and (pl.concat(self.axes[0] - span for span in spans), self.axes[1])
        return Keys(pl.concat(self.frame.with_columns(pl.col("as_of") - span) for span in spans), axes)


@dataclass(frozen=True)
class Base:
    """Totals as of a moment, one row per customer who had any: what later ones are counted on from.

    The names of moments begin with `first_` or `last_`; all else are sums.
    """

    moment: datetime
    totals: pl.DataFrame

    def joined(self, later: pl.DataFrame) -> pl.DataFrame:
        """Totals of the rows since, one row per key, as totals of all rows; no key may be earlier than these."""
        names = [name for name in later.columns if name not in KEY]
        mine = self.totals.select("customer_id", *names)
        was = later.select("customer_id").join(mine, on="customer_id", how="left", maintain_order="left")
        return later.with_columns(_joined(name, was[name]) for name in names)


def _joined(name: str, was: pl.Series) -> pl.Expr:
    if name.startswith("first_"):
        return pl.min_horizontal(name, was)
    return pl.max_horizontal(name, was) if name.startswith("last_") else pl.col(name) + was.fill_null(0)


def before(
    keys: Keys,
    rows: pl.DataFrame,
    *,
    sums: Parts,
    first: Parts | None = None,
    last: Parts | None = None,
) -> pl.DataFrame:
    """Sums, firsts and lasts over a customer's rows with `timestamp < as_of`, beside each of `keys` and in their order.

    Of booleans the sum is how many are true. Each row is counted at the first as_of after it, and a running total over
    the customer's as_ofs does the rest.
    """
    totals = keys.grid.totals(rows, sums=sums, first=first or {}, last=last or {})
    return pl.concat([keys.frame, totals], how="horizontal")
