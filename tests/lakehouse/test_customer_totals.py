"""The exposures beside customers' totals: what was listed is read again, as of each moment alone."""

from datetime import datetime, timedelta

import polars as pl
from hypothesis import given, strategies
from polars.testing import assert_frame_equal

from lakehouse.gold.before import Base
from lakehouse.gold.customer_totals import open_exposures, reached_by, with_exposures

MOMENTS = [datetime(2024, 1, 1), datetime(2024, 2, 1)]
CUSTOMERS = strategies.sampled_from([-7, 0, 3, 2**62])
WINDOWS = strategies.sampled_from([timedelta(days=1), timedelta(days=30)])
EDGES = strategies.sampled_from([*MOMENTS, MOMENTS[0] - timedelta(days=1), MOMENTS[1] - timedelta(days=30)])
STARTS = EDGES | strategies.datetimes(datetime(2023, 11, 1), datetime(2024, 3, 1))
BEGUN = strategies.dictionaries(
    strategies.tuples(CUSTOMERS, strategies.integers(0, 9)),
    strategies.tuples(STARTS, WINDOWS),
)
STAMP, PAIR = pl.Datetime("us"), ["customer_id", "campaign_id"]
EXPOSURE = dict.fromkeys(PAIR, pl.Int64) | dict.fromkeys(["as_of", "window_end"], STAMP)


def exposures_of(begun):
    """A row for each exposure."""
    rows = [(*pair, start, start + window) for pair, (start, window) in begun.items()]
    return pl.DataFrame(rows, EXPOSURE, orient="row")


def totals_of(customers, moments):
    """A row for each moment and customer."""
    pairs = [(moment, customer) for moment in moments for customer in customers]
    return pl.DataFrame(pairs, {"as_of": STAMP, "customer_id": pl.Int64}, orient="row")


@given(BEGUN, strategies.lists(CUSTOMERS, unique=True), strategies.sampled_from([[], MOMENTS[:1], MOMENTS]))
def test_lists_say_what_was_known_at_their_moment(begun, customers, moments):
    """No later exposure is in them, and none is open whose window had ended."""
    exposures, totals = exposures_of(begun), totals_of(customers, moments)
    found = with_exposures(totals, exposures)

    assert found.drop("reached", "open").equals(totals)
    for moment in moments:
        then = found.filter(pl.col("as_of") == moment)
        had = exposures.filter(pl.col("customer_id").is_in(customers), pl.col("as_of") < moment)
        assert_frame_equal(reached_by(then), had.select(PAIR), check_row_order=False)
        assert_frame_equal(open_exposures(then), had.filter(pl.col("window_end") > moment), check_row_order=False)


@given(BEGUN, strategies.lists(CUSTOMERS, unique=True))
def test_lists_are_the_same_when_counted_on_from_earlier_ones(begun, customers):
    """Of exposures before these only the open ones are needed."""
    base, exposures = MOMENTS[0], exposures_of(begun)
    every = exposures["customer_id"].unique().to_list()
    earlier = Base(base, with_exposures(totals_of(every, [base]), exposures))
    late = exposures.filter((pl.col("as_of") >= base) | (pl.col("window_end") > base))
    totals = totals_of(customers, MOMENTS[1:])

    assert_frame_equal(with_exposures(totals, late, earlier), with_exposures(totals, exposures))
