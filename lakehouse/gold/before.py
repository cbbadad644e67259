"""Totals of what happened before a moment, for many moments at once: what every point-in-time feature is made of."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl
import polars.selectors as cs

from lakehouse.gold.grid import Grid, Parts

KEY = ["as_of", "customer_id"]
COUNTS = cs.by_dtype(pl.UInt32)
"""What Polars makes of a sum of booleans."""


@dataclass(frozen=True)
class Keys:
    """The (as_of, customer_id) whose features are wanted, unique and sorted.

    moments, customers: where all customers share their as_ofs, which is much quicker to compute; None where not.
    """

    frame: pl.DataFrame
    moments: pl.Series | None = None
    customers: pl.Series | None = None

    @cached_property
    def grid(self) -> Grid | None:
        """A place for each key where the as_ofs are shared."""
        return None if self.moments is None or self.customers is None else Grid(self.moments, self.customers)

    @classmethod
    def of(cls, pairs: pl.DataFrame) -> "Keys":
        """Any pairs."""
        return cls(pairs.select(KEY).unique().sort(KEY))

    @classmethod
    def crossed(cls, moments: pl.Series, customers: pl.Series) -> "Keys":
        """All customers at each of the moments."""
        moments, customers = moments.unique().sort().alias("as_of"), customers.unique().sort().alias("customer_id")
        pairs = moments.to_frame().join(customers.to_frame(), how="cross", maintain_order="left_right")
        return cls(pairs.select(KEY), moments, customers)

    def with_earlier(self, spans: list[timedelta]) -> "Keys":
        """These and those that lie each of the spans before them."""
        if self.moments is not None and self.customers is not None:
            return Keys.crossed(pl.concat([self.moments, *(self.moments - span for span in spans)]), self.customers)
        earlier = (self.frame.with_columns(pl.col("as_of") - span) for span in spans)
        return Keys.of(pl.concat([self.frame, *earlier]))

    def look_up(self, totals: pl.DataFrame, span: timedelta) -> pl.DataFrame:
        """The rows of totals over `with_earlier` that lie the span before these keys, in the order of these."""
        if self.moments is None or self.customers is None:
            then = self.frame.with_columns(pl.col("as_of") - span)
            return then.join(totals, on=KEY, how="left", maintain_order="left")
        size = len(self.customers)
        steps = totals["as_of"].gather_every(max(size, 1)).search_sorted(self.moments - span)
        return pl.concat([totals.clear(), *(totals.slice(step * size, size) for step in steps)])


@dataclass(frozen=True)
class Base:
    """Totals as of a moment, one row per customer who had any: what later ones are counted on from."""

    moment: datetime
    totals: pl.DataFrame

    def beside(self, customers: pl.DataFrame, sums: Parts, others: Parts) -> pl.DataFrame:
        """The named totals of each customer, 0 or null for new ones, in the order of the rows given."""
        mine = self.totals.select("customer_id", *sums, *others)
        found = customers.select("customer_id").join(mine, on="customer_id", how="left", maintain_order="left")
        return found.with_columns(pl.col(name).fill_null(0) for name in sums)


def before(
    keys: Keys,
    rows: pl.LazyFrame,
    *,
    sums: Parts,
    first: Parts | None = None,
    last: Parts | None = None,
    base: Base | None = None,
) -> pl.DataFrame:
    """Sums, firsts and lasts over a customer's rows with `timestamp < as_of`, beside each of `keys` and in their order.

    Of booleans the sum is how many are true. Each row is counted at the first as_of after it, and a running total over
    the customer's as_ofs does the rest.
    With a `base`, no later than any of the keys, its totals stand for the rows before it, which may be lacking.
    """
    first, last = first or {}, last or {}
    rows = rows if base is None else rows.filter(pl.col("timestamp") >= base.moment)
    if keys.grid:
        found = pl.concat([keys.frame, keys.grid.totals(rows, sums=sums, first=first, last=last)], how="horizontal")
    else:
        found = _alone(keys, rows, sums=sums, first=first, last=last)
    if base is None:
        return found
    was = base.beside(found, sums, {**first, **last})
    return found.with_columns(
        *(pl.col(name) + was[name] for name in sums),
        *(pl.min_horizontal(name, was[name]).alias(name) for name in first),
        *(pl.max_horizontal(name, was[name]).alias(name) for name in last),
    )


def _alone(keys: Keys, rows: pl.LazyFrame, *, sums: Parts, first: Parts, last: Parts) -> pl.DataFrame:
    """Where each customer has as_ofs of its own."""
    parts = {name: part.sum() for name, part in sums.items()}
    parts |= {name: part.min() for name, part in first.items()}
    parts |= {name: part.max() for name, part in last.items()}
    counted = _placed(rows, keys).group_by(KEY).agg(**parts).with_columns(COUNTS.cast(pl.Int64))
    there = counted.collect(engine="streaming").lazy()
    found = keys.frame.lazy().join(there, on=KEY, how="left", maintain_order="left")
    found = found.with_columns(pl.col(name).fill_null(0) for name in sums)
    return _accumulated(found.collect(), sums=sums, first=first, last=last)


def _accumulated(counted: pl.DataFrame, *, sums: Parts, first: Parts, last: Parts) -> pl.DataFrame:
    """Running totals over each customer's as_ofs, in the order of the rows.

    Each step adds to a row what the row so many before it has, and doubles how many: a window per customer and column
    would cost ten times as much, and sums over all customers would lose a small one's digits.
    """
    customer = pl.col("customer_id")
    rows = counted.with_row_index("_row").sort("customer_id", "as_of")
    longest = rows.select(customer.rle().struct.field("len").max()).item() or 0
    step = 1
    while step < longest:
        same = customer == customer.shift(step)
        added = {name: pl.col(name) + pl.col(name).shift(step) for name in sums}
        added |= {name: pl.min_horizontal(name, pl.col(name).shift(step)) for name in first}
        added |= {name: pl.max_horizontal(name, pl.col(name).shift(step)) for name in last}
        rows = rows.with_columns(
            pl.when(same).then(total).otherwise(pl.col(name)).alias(name) for name, total in added.items()
        )
        step *= 2
    return rows.sort("_row").drop("_row")


def _placed(rows: pl.LazyFrame, keys: Keys) -> pl.LazyFrame:
    """The rows beside the first as_of after them; those after the last one are left out."""
    return (
        rows.join(keys.frame.lazy().select("customer_id").unique(), on="customer_id", how="semi")
        .sort("timestamp")
        .join_asof(
            keys.frame.lazy(),
            left_on="timestamp",
            right_on="as_of",
            by="customer_id",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col("as_of").is_not_null())
    )
