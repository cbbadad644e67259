"""`gold.product_weeks`: what a week's row holds, and that a build makes what is missing of it."""

from datetime import date
from decimal import Decimal

import pytest

from lakehouse.build import build
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.storage import Lake

TABLES = ("gold.product_weeks", "gold.product_features", "gold.customer_features")


@pytest.fixture
def lake(tmp_path, write_shop):
    """Two customers who bought one product in two weeks."""
    sales = [("1", "2024-01-08 00:00:00", "1"), ("2", "2024-01-14 23:59:59", "1"), ("3", "2024-01-15 00:00:00", "2")]
    refund = {"refund_flag": "1", "gross_revenue": "-10.00", "timestamp": "2024-01-16 10:00:00", "transaction_id": "4"}
    rows = [
        {"transaction_id": number, "timestamp": moment, "customer_id": customer, "gross_revenue": "10.00"}
        for number, moment, customer in sales
    ]
    customers = [{"customer_id": "1"}, {"customer_id": "2"}]
    lake = Lake(Settings(var_dir=tmp_path / "var", lake_root="", rows_per_bucket=2))
    ingest(lake, str(write_shop(transactions=[*rows, refund], customers=customers)))
    build(lake)
    return lake


def weeks(lake):
    """Monday, revenue and new buyers of each week."""
    rows = lake.scan("gold.product_weeks").sort("week").collect()
    return list(rows.select("week", "revenue", "new_buyers").iter_rows())


def test_a_week_begins_on_monday_and_a_customer_is_new_once(lake):
    """Sunday's last second is of the week before; refunds do not count."""
    first, second = (date(2024, 1, 8), Decimal("20.00"), 1), (date(2024, 1, 15), Decimal("10.00"), 1)
    assert weeks(lake) == [first, second]


def test_new_days_are_added_and_late_ones_move_a_buyer(lake, write_shop):
    """A sale that comes late makes its customer an earlier week's new buyer."""
    later = {"transaction_id": "5", "timestamp": "2024-03-05 10:00:00", "customer_id": "2", "gross_revenue": "10.00"}
    late = later | {"transaction_id": "6", "timestamp": "2024-01-02 10:00:00"}
    before = weeks(lake)
    ingest(lake, str(write_shop("later", only=("transactions",), transactions=[later])))
    build(lake)
    assert weeks(lake) == [*before, (date(2024, 3, 4), Decimal("10.00"), 0)]
    ingest(lake, str(write_shop("late", only=("transactions",), transactions=[late])))
    build(lake)
    assert weeks(lake)[:3] == [(date(2024, 1, 1), Decimal("10.00"), 1), before[0], (*before[1][:2], 0)]


def test_nothing_is_made_twice_of_a_shop_that_is_days_old(lake):
    """It has no moment a week before its clock to count on from, and need not have one."""
    versions = {name: lake.version(name) for name in TABLES}
    assert build(lake).gold == {}
    assert versions == {name: lake.version(name) for name in TABLES}
