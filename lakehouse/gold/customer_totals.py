"""`gold.customer_totals`: sums, firsts and lasts by customer at the start of a month, from which later builds go on.

A build whose new rows are all later reads only the rows since then, and adds them to these. Whom campaigns had reached
is listed beside them: `gold.campaign_exposures` has many small files.
"""

from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.months import month_start

TABLE = "gold.customer_totals"
LATENESS = timedelta(days=7)
"""How late rows may come at any time of the month; later ones make their bucket be counted from the beginning."""


def as_ofs(first: datetime, clock: datetime) -> list[datetime]:
    """The moment of every build; none where the data is younger."""
    start = month_start(clock - LATENESS)
    return [start] if start > first else []


def with_exposures(totals: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """The totals beside a list of the exposures that each customer had had by then, with the outcomes known by then."""
    moment, outcome = pl.col("moment"), pl.col("responded")
    reached = (
        totals.lazy()
        .select("customer_id", moment="as_of")
        .join(exposures.lazy(), on="customer_id")
        .filter(pl.col("as_of") < moment)
        .with_columns(responded=pl.when(pl.col("window_end") <= moment).then(outcome))
        .sort("as_of", "campaign_id")
        .group_by("customer_id", as_of="moment", maintain_order=True)
        .agg(exposures=pl.struct("campaign_id", "as_of", "window_end", "responded"))
    )
    return totals.lazy().join(reached, on=["customer_id", "as_of"], how="left", maintain_order="left").collect()


def exposures_of(totals: pl.DataFrame) -> pl.DataFrame:
    """The exposures that totals list, a row each."""
    return totals.select("customer_id", "exposures").drop_nulls().explode("exposures").unnest("exposures")
