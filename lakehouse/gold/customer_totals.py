"""`gold.customer_totals`: sums, firsts and lasts by customer at the start of a month, from which later builds go on.

A build whose new rows are all later reads only the rows since then, and adds them to these.
"""

from datetime import datetime, timedelta

from lakehouse.gold.months import month_start

TABLE = "gold.customer_totals"
LATENESS = timedelta(days=7)
"""How late rows may come at any time of the month; later ones make their bucket be counted from the beginning."""


def as_ofs(first: datetime, clock: datetime) -> list[datetime]:
    """The moment of every build; none where the data is younger."""
    start = month_start(clock - LATENESS)
    return [start] if start > first else []
