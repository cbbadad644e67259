"""`gold.customer_totals`: sums, firsts and lasts by customer at the start of a month, from which later builds go on.

A build whose new rows are all later reads only the rows since then, and adds them to these. Which campaigns had reached
a customer is listed beside them: `gold.campaign_exposures` has many small files.
"""

from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.before import Base
from lakehouse.gold.months import month_start

TABLE = "gold.customer_totals"
LATENESS = timedelta(days=7)
"""How late rows may come at any time of the month; later ones make their bucket be counted from the beginning."""
OPEN = ["campaign_id", "as_of", "window_end"]
"""What is listed of an exposure whose window had not ended, for its outcome is still to come."""


def as_ofs(first: datetime, clock: datetime) -> list[datetime]:
    """The moment of every build; none where the data is younger."""
    start = month_start(clock - LATENESS)
    return [start] if start > first else []


def with_exposures(totals: pl.DataFrame, exposures: pl.DataFrame, base: Base | None = None) -> pl.DataFrame:
    """The totals beside the campaigns that had reached each customer by then, and the exposures that were open then.

    With a base, whose moment is before all of theirs, `exposures` are those that were open then, and all since.
    """
    pair, moment = ["customer_id", "campaign_id"], pl.col("moment")
    of, times = ["customer_id", "moment"], totals.lazy().select("customer_id", moment="as_of")
    had = times.join(exposures.lazy(), on="customer_id").filter(pl.col("as_of") < moment).sort("as_of", "campaign_id")
    reached = had.select(*pair, "moment")
    if base:
        earlier = times.join(reached_by(base.totals).lazy(), on="customer_id").select(*pair, "moment")
        reached = pl.concat([reached, earlier]).unique()  # those that were open are among both
    lists = (
        reached.group_by(of).agg(reached=pl.col("campaign_id").sort()),
        had.filter(pl.col("window_end") > moment).group_by(of, maintain_order=True).agg(open=pl.struct(OPEN)),
    )
    rows = totals.lazy()
    for each in lists:
        rows = rows.join(each, left_on=["customer_id", "as_of"], right_on=of, how="left", maintain_order="left")
    return rows.collect()


def reached_by(totals: pl.DataFrame) -> pl.DataFrame:
    """The customers and campaigns of all exposures by then, a row each."""
    return totals.select("customer_id", campaign_id="reached").explode("campaign_id", keep_nulls=False)


def open_exposures(totals: pl.DataFrame) -> pl.DataFrame:
    """The exposures that were open then, a row each."""
    return totals.select("customer_id", "open").explode("open", keep_nulls=False).unnest("open")
