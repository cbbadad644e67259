"""The exposures beside customers' totals: what was listed is read again, as of each moment alone."""

from datetime import datetime, timedelta

import polars as pl
from hypothesis import given, strategies
from polars.testing import assert_frame_equal

from lakehouse.gold.customer_totals import exposures_of, with_exposures

MOMENTS = [datetime(2024, 1, 1), datetime(2024, 2, 1)]
CUSTOMERS = strategies.sampled_from([-7, 0, 3, 2**62])
WINDOWS = strategies.sampled_from([timedelta(days=1), timedelta(days=30)])
EDGES = strategies.sampled_from([*MOMENTS, MOMENTS[0] - timedelta(days=1), MOMENTS[1] - timedelta(days=30)])
STARTS = EDGES | strategies.datetimes(datetime(2023, 11, 1), datetime(2024, 3, 1))
BEGUN = strategies.dictionaries(
    strategies.tuples(CUSTOMERS, strategies.integers(0, 9)),
    strategies.tuples(STARTS, WINDOWS, strategies.sampled_from([0, 1])),
)
STAMP = pl.Datetime("us")
EXPOSURE = dict.fromkeys(["customer_id", "campaign_id"], pl.Int64) | dict.fromkeys(["as_of", "window_end"], STAMP)


@given(BEGUN, strategies.lists(CUSTOMERS, unique=True), strategies.sampled_from([[], MOMENTS[:1], MOMENTS]))
def test_a_list_says_what_was_known_at_its_moment(begun, customers, moments):
    """No later exposure is in it, and no outcome of a window that had not ended."""
    rows = [(*pair, start, start + window, answer) for pair, (start, window, answer) in begun.items()]
    exposures = pl.DataFrame(rows, EXPOSURE | {"responded": pl.Int64}, orient="row")
    pairs = [(moment, customer) for moment in moments for customer in customers]
    totals = pl.DataFrame(pairs, {"as_of": STAMP, "customer_id": pl.Int64}, orient="row")
    found = with_exposures(totals, exposures)

    assert found.drop("exposures").equals(totals)
    for moment in moments:
        had = exposures.filter(pl.col("customer_id").is_in(customers), pl.col("as_of") < moment)
        known = had.with_columns(pl.when(pl.col("window_end") <= moment).then("responded"))
        assert_frame_equal(exposures_of(found.filter(pl.col("as_of") == moment)), known, check_row_order=False)
