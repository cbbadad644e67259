"""Totals of what happened before a moment, for many moments at once: what every point-in-time feature is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import polars as pl
import polars.selectors as cs

KEY = ["as_of", "customer_id"]
Parts = Mapping[str, pl.Expr]
COUNTS = cs.by_dtype(pl.UInt32)
"""What Polars makes of a sum of booleans."""


@dataclass(frozen=True)
class Keys:
    """The (as_of, customer_id) whose features are wanted, unique and sorted.

    moments: the as_ofs where every customer has all of them, which is much quicker to compute; None where not.
    """

    frame: pl.DataFrame
    moments: pl.Series | None = None

    @classmethod
    def of(cls, pairs: pl.DataFrame) -> "Keys":
        """Any pairs."""
        return cls(pairs.select(KEY).unique().sort(KEY))

    @classmethod
    def crossed(cls, moments: pl.Series, customers: pl.Series) -> "Keys":
        """All customers at each of the moments."""
        moments, customers = moments.unique().sort().alias("as_of"), customers.unique().sort().alias("customer_id")
        pairs = moments.to_frame().join(customers.to_frame(), how="cross", maintain_order="left_right")
        return cls(pairs.select(KEY), moments)

    def with_earlier(self, spans: list[timedelta]) -> "Keys":
        """These and those that lie each of the spans before them."""
        if self.moments is None:
            earlier = (self.frame.with_columns(pl.col("as_of") - span) for span in spans)
            return Keys.of(pl.concat([self.frame, *earlier]))
        customers = self.frame["customer_id"].head(self.frame.height // max(len(self.moments), 1))
        return Keys.crossed(pl.concat([self.moments, *(self.moments - span for span in spans)]), customers)

    def look_up(self, totals: pl.DataFrame, span: timedelta) -> pl.DataFrame:
        """The rows of totals over `with_earlier` that lie the span before these keys, in the order of these."""
        if self.moments is not None:
            return totals.filter(pl.col("as_of").is_in((self.moments - span).implode()))
        return self.frame.with_columns(pl.col("as_of") - span).join(totals, on=KEY, how="left", maintain_order="left")


def before(
    keys: Keys, rows: pl.LazyFrame, *, sums: Parts, first: Parts | None = None, last: Parts | None = None
) -> pl.DataFrame:
    """Sums, firsts and lasts over a customer's rows with `timestamp < as_of`, beside each of `keys` and in their order.

    Of booleans the sum is how many are true. Each row is counted at the first as_of after it, and a running total over
    the customer's as_ofs does the rest.
    """
    first, last = first or {}, last or {}
    parts = {name: part.sum() for name, part in sums.items()}
    parts |= {name: part.min() for name, part in first.items()}
    parts |= {name: part.max() for name, part in last.items()}
    counted = _placed(rows, keys).group_by(KEY).agg(**parts).with_columns(COUNTS.cast(pl.Int64))
    counted = counted.collect(engine="streaming").lazy()
    found = keys.frame.lazy().join(counted, on=KEY, how="left", maintain_order="left")
    found = found.with_columns(pl.col(name).fill_null(0) for name in sums)
    if keys.moments is not None:
        return _running(found.collect(), len(keys.moments), sums=list(sums), first=list(first), last=list(last))
    total = {name: pl.col(name).cum_sum() for name in sums}
    total |= {name: pl.col(name).cum_min().forward_fill() for name in first}
    total |= {name: pl.col(name).cum_max().forward_fill() for name in last}
    return found.with_columns(**{name: part.over("customer_id") for name, part in total.items()}).collect()


def _placed(rows: pl.LazyFrame, keys: Keys) -> pl.LazyFrame:
    """The rows beside the first as_of after them; those after the last one are left out."""
    if keys.moments is not None and len(keys.moments) == 1:
        return rows.filter(pl.col("timestamp") < keys.moments[0]).with_columns(as_of=pl.lit(keys.moments).first())
    if keys.moments is not None:
        moments = pl.lit(keys.moments)
        following = moments.search_sorted(pl.col("timestamp"), side="right")
        return rows.filter(pl.col("timestamp") < keys.moments.max()).with_columns(as_of=moments.gather(following))
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


def _running(found: pl.DataFrame, steps: int, *, sums: list[str], first: list[str], last: list[str]) -> pl.DataFrame:
    """Running totals over as_ofs at which the same customers stand in the same order."""
    customers = found.height // max(steps, 1)
    done = [found.head(customers)]
    for step in range(1, steps):
        was = {name: done[-1][name] for name in (*sums, *first, *last)}
        here = found.slice(step * customers, customers).with_columns(
            *(pl.col(name) + was[name] for name in sums),
            *(pl.min_horizontal(name, was[name]).alias(name) for name in first),
            *(pl.max_horizontal(name, was[name]).alias(name) for name in last),
        )
        done.append(here)
    return pl.concat(done)
