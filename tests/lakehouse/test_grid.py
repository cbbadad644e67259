"""Totals on a grid are what a loop over all rows gives."""

from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lakehouse.gold import grid
from lakehouse.gold.grid import Crossed, Pairs

START = datetime(2024, 1, 1)
SCHEMA = pl.Schema(
    {
        "customer_id": pl.Int64(),
        "timestamp": pl.Datetime("us"),
        "mark": pl.Boolean(),
        "units": pl.Int64(),
        "money": pl.Decimal(18, 2),
        "share": pl.Float64(),
    }
)
IDS = st.integers(-5, 5) | st.integers(-(10**18), 10**18) | st.sampled_from([-(2**63), 2**63 - 1])
STAMPS = st.integers(0, 6).map(lambda hours: START + timedelta(hours=hours))
ROWS = st.lists(
    st.tuples(
        IDS,
        STAMPS,
        st.none() | st.booleans(),
        st.none() | st.integers(-9, 9),
        st.none() | st.integers(-(10**17), 10**17).map(lambda cents: Decimal(cents) / 100),
        st.none() | st.integers(-8, 8).map(lambda eighths: eighths / 8),
    ),
    max_size=40,
)
MARKS = {
    "marks": pl.col("mark"),
    "unmarked": ~pl.col("mark"),
    "many": pl.col("units") > 2,
    "paid": pl.col("money") > 0,
    "shared": pl.col("share").is_not_null(),
}
SUMS = MARKS | {"units": pl.col("units"), "money": pl.col("money"), "share": pl.col("share")}
MARKED = pl.when("mark").then("timestamp")


@given(rows=ROWS, moments=st.lists(STAMPS, max_size=6), customers=st.sets(IDS, max_size=6), own=st.booleans())
def test_all_customers_at_the_same_moments(rows, moments, customers, own):
    """Whatever comes: nulls, rows of nobody, ids near or far from each other, no moment or one twice, no customers."""
    customers = {row[0] for row in rows} if own else customers
    grid = Crossed(_moments(moments), _ids(sorted(customers)))
    _check(grid, rows, [(moment, customer) for moment in moments for customer in sorted(customers)])


@given(rows=ROWS, keys=st.lists(st.tuples(STAMPS, IDS), max_size=12), of_rows=st.sets(st.integers(0, 39)))
def test_each_customer_at_moments_of_its_own(rows, keys, of_rows):
    """The same, and at the very moments of rows: these do not count."""
    keys = keys + [(row[1], row[0]) for number, row in enumerate(rows) if number in of_rows]
    grid = Pairs(_moments([moment for moment, _ in keys]), _ids([customer for _, customer in keys]))
    _check(grid, rows, keys)


def _moments(moments):
    return pl.Series(moments, dtype=pl.Datetime("us"))


def _ids(customers):
    return pl.Series(customers, dtype=pl.Int64)


def _check(grid, rows, keys):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    found = grid.totals(frame, sums=SUMS, first={"first": MARKED}, last={"last": MARKED})
    expected = []
    for moment, customer in keys:
        mine = [row for row in rows if row[0] == customer and row[1] < moment]
        marked = [row[1] for row in mine if row[2]]
        marks = [
            (mark is True, mark is False, (units or 0) > 2, (money or 0) > 0, share is not None)
            for _, _, mark, units, money, share in mine
        ]
        counts = [sum(row[place] for row in marks) for place in range(len(MARKS))]
        sums = [sum(row[place] or 0 for row in mine) for place in range(3, 6)]
        expected.append((*counts, *sums, min(marked, default=None), max(marked, default=None)))
    schema = dict.fromkeys((*MARKS, "units"), pl.Int64()) | {"money": pl.Decimal(38, 2), "share": pl.Float64()}
    schema |= dict.fromkeys(("first", "last"), pl.Datetime("us"))
    assert_frame_equal(found, pl.DataFrame(expected, schema=schema, orient="row"), check_exact=True)


def test_rows_are_added_some_at_a_time(monkeypatch):
    """The last few count like the others."""
    rows = pl.DataFrame({"customer_id": [7] * 10, "timestamp": START, "units": range(10)})
    monkeypatch.setattr(grid, "ROWS_AT_ONCE", 4)
    moments = pl.Series([START + timedelta(hours=1)])
    found = Crossed(moments, pl.Series([7])).totals(rows, sums={"units": pl.col("units")}, first={}, last={})
    assert found["units"].to_list() == [45]
