"""The first rows of their kind are what a walk through all rows in order of time finds."""

from datetime import datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.gold import firsts
from lakehouse.gold.firsts import Timeline

IDS = st.integers(-5, 5) | st.integers(-(10**18), 10**18)
HOURS = st.integers(0, 6)
ROWS = st.lists(
    st.tuples(IDS, HOURS, st.none() | st.integers(-1, 2) | st.sampled_from([-(2**63), 2**63 - 1])), max_size=40
)


@given(rows=ROWS)
def test_a_customers_first_of_each_kind(rows):
    """One row of each customer and kind, at the earliest moment of any; ids near or far from each other."""
    timeline, kinds = _timeline(rows)
    marks = timeline.first(kinds).to_list()
    earliest = {}
    for customer, hour, kind in rows:
        if kind is not None:
            earliest[customer, kind] = min(hour, earliest.get((customer, kind), hour))
    marked = [(customer, kind, hour) for (customer, hour, kind), mark in zip(rows, marks, strict=True) if mark]
    assert sorted(marked) == sorted((*pair, hour) for pair, hour in earliest.items())


@given(rows=ROWS)
def test_moments_are_a_kind(rows):
    """One row of each customer and moment."""
    timeline, _ = _timeline(rows)
    marks = timeline.first(timeline.moments).to_list()
    marked = [(customer, hour) for (customer, hour, _), mark in zip(rows, marks, strict=True) if mark]
    assert sorted(marked) == sorted({(customer, hour) for customer, hour, _ in rows})


def test_more_pairs_than_numbers_hold(monkeypatch):
    """Customers and kinds whose numbers have no room beside a place are numbered anew."""
    rows = [(number * 1_000, 5 - number % 3, number % 2) for number in range(50)] * 2
    timeline, kinds = _timeline(rows)
    wanted = timeline.first(kinds)
    monkeypatch.setattr(firsts, "BITS", 20)
    assert timeline.first(kinds).to_list() == wanted.to_list()
    assert wanted.sum() == 50


def _timeline(rows):
    customers = pl.Series([customer for customer, _, _ in rows], dtype=pl.Int64)
    stamps = [datetime(2024, 1, 1) + timedelta(hours=hour) for _, hour, _ in rows]
    kinds = pl.Series([kind for _, _, kind in rows], dtype=pl.Int64)
    return Timeline(customers, pl.Series(stamps, dtype=pl.Datetime("us"))), kinds
