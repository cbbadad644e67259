"""`gold.customer_totals`: sums, firsts and lasts by customer as of a late moment, from which the next build goes on.

A build whose new rows are all later reads only the rows since then, and adds them to these.
"""

from datetime import datetime, timedelta

TABLE = "gold.customer_totals"
LATENESS = timedelta(days=7)
"""Rows that come later than this after they happened make their bucket be counted from the beginning."""


def as_ofs(first: datetime, clock: datetime) -> list[datetime]:
    """The moments of every build; none where the data is younger."""
    return [clock - LATENESS] if clock - LATENESS > first else []
