"""The first rows of their kind are what a walk through all rows in order of time finds."""

from datetime import datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lakehouse import packed
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
def test_a_customers_first_of_each_moment(rows):
    """One row of each customer and moment, of the rows that count."""
    counted = [kind is not None for *_, kind in rows]
    timeline, _ = _timeline(rows, counted)
    marks = timeline.moments().to_list()
    marked = [(customer, hour) for (customer, hour, _), mark in zip(rows, marks, strict=True) if mark]
    assert sorted(marked) == sorted({(customer, hour) for customer, hour, kind in rows if kind is not None})
    assert not any(mark for mark, counts in zip(marks, counted, strict=True) if not counts)


@given(
    rows=ROWS,
    step=st.sampled_from([timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=400, microseconds=1)]),
)
def test_moments_of_any_distance(rows, step):
    """Moments are told apart to the microsecond, also where they lie too far from each other to be counted."""
    timeline, kinds = _timeline(rows, step=step)
    hourly, _ = _timeline(rows)
    assert timeline.moments().to_list() == hourly.moments().to_list()
    assert timeline.first(kinds).to_list() == hourly.first(kinds).to_list()


def test_more_pairs_than_numbers_hold(monkeypatch):
    """Customers, moments and kinds whose numbers have no room beside a place are numbered anew."""
    rows = [(number * 1_000, 5 - number % 3, number % 2) for number in range(50)] * 2
    timeline, kinds = _timeline(rows)
    wanted = [timeline.moments(), timeline.first(kinds)]
    monkeypatch.setattr(packed, "BITS", 20)
    timeline, kinds = _timeline(rows)
    assert [timeline.moments().to_list(), timeline.first(kinds).to_list()] == [marks.to_list() for marks in wanted]
    assert [marks.sum() for marks in wanted] == [50, 50]


def _timeline(rows, counted=None, step=timedelta(hours=1)):
    customers = pl.Series([customer for customer, _, _ in rows], dtype=pl.Int64)
    stamps = pl.Series([datetime(2024, 1, 1) + step * hour for _, hour, _ in rows], dtype=pl.Datetime("us"))
    kinds = pl.Series([kind for _, _, kind in rows], dtype=pl.Int64)
    return Timeline(customers, stamps, None if counted is None else pl.Series(counted, dtype=pl.Boolean)), kinds
