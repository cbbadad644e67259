"""`gold.interactions`: what a day's row holds, what days add up to before a moment, and what a build leaves alone."""

from collections import defaultdict
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, strategies
from polars.testing import assert_frame_equal

from lakehouse.build import build
from lakehouse.errors import MissingTableError
from lakehouse.gold.as_of import online_snapshot
from lakehouse.gold.interactions import COUNTS, SCHEMA, interactions_before
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.storage import Lake

TABLE = "gold.interactions"
PAIR = ["customer_id", "product_id"]
CUTOFF = datetime(2024, 3, 10)


@strategies.composite
def day_rows(draw):
    """Rows as the table has them: a few customers and products on days about the cutoff."""
    keys = strategies.tuples(strategies.integers(1, 2), strategies.integers(1, 2), strategies.integers(-70, 3))
    rows = []
    for customer, product, day in draw(strategies.lists(keys, max_size=12, unique=True)):
        last_at = CUTOFF + timedelta(days=day, microseconds=draw(strategies.integers(0, 86_399_999_999)))
        counts = [draw(strategies.integers(0, 3)) for _ in COUNTS]
        rows.append((customer, product, last_at.date(), *counts, last_at, last_at.date().replace(day=1), 0))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@given(rows=day_rows())
def test_totals_before_a_moment_are_those_of_a_loop(rows):
    """Counts add up, the last moment counts, each basket is worth half for every 60 days of its day's age."""
    expected = defaultdict(lambda: [0, 0, float("inf"), 0.0, 0, 0])
    for row in rows.iter_rows(named=True):
        if row["last_at"] < CUTOFF:
            age = (CUTOFF - row["last_at"]) / timedelta(days=1)
            total = expected[row["customer_id"], row["product_id"]]
            for place, name in {0: "purchase_count", 1: "units", 4: "view_count", 5: "add_to_cart_count"}.items():
                total[place] += row[name]
            total[2] = min(total[2], age)
            total[3] += row["purchase_count"] * 0.5 ** (age / 60)
    found = interactions_before(rows.lazy(), CUTOFF).collect()
    assert found.columns == [*PAIR, *COUNTS[:2], "recency_days", "recency_weight", *COUNTS[2:]]
    assert {key: pytest.approx(total) for key, total in expected.items()} == {
        row[:2]: list(row[2:]) for row in found.iter_rows()
    }


@given(rows=day_rows())
def test_days_at_the_moment_and_after_it_change_nothing(rows):
    """Whatever they hold."""
    before = interactions_before(rows.lazy().filter(pl.col("last_at") < CUTOFF), CUTOFF)
    whole = interactions_before(rows.lazy(), CUTOFF)
    assert_frame_equal(before.collect(), whole.collect(), check_row_order=False)


def test_a_day_counts_baskets_units_views_and_carts(tmp_path, write_shop):
    """Lines at one moment are one basket; a refund, a click and what has no product count nowhere."""
    sales = [{"transaction_id": str(number), "quantity": str(number)} for number in (1, 2)]
    sales += [{"transaction_id": "3", "timestamp": "2024-01-01 18:00:00"}]
    sales += [{"transaction_id": "4", "refund_flag": "1", "gross_revenue": "-1", "timestamp": "2024-01-01 20:00:00"}]
    events = [{"event_id": str(number), "event_type": kind} for number, kind in enumerate(["view", "view", "click"])]
    events += [{"event_id": "5", "event_type": "add_to_cart", "timestamp": "2024-01-01 19:00:00"}]
    events += [{"event_id": "6", "product_id": "", "timestamp": "2024-01-01 21:00:00"}]
    events += [{"event_id": "7", "timestamp": "2024-02-29 23:59:59"}]  # after the data's clock
    lake = built(tmp_path, write_shop(transactions=sales, events=events))
    first, second = lake.scan(TABLE).sort("day").drop("bucket").collect().rows()
    last_at = datetime(2024, 1, 1, 19)
    assert (7, 1630, date(2024, 1, 1), 2, 5, 2, 1, last_at, date(2024, 1, 1)) == first
    assert (7, 1630, date(2024, 2, 29), 0, 0, 1, 0, datetime(2024, 2, 29, 23, 59, 59), date(2024, 2, 1)) == second


def test_the_snapshot_is_of_the_datas_clock_or_of_the_date_asked_for(tmp_path, write_shop):
    """A date before the first row is refused, and one after the clock is the clock."""
    sales = [{"transaction_id": str(day), "timestamp": f"2024-01-0{day} 10:00:00"} for day in (1, 3)]
    lake = built(tmp_path, write_shop(transactions=sales))
    rows, version, as_of = online_snapshot(lake, TABLE)
    assert (rows["purchase_count"].item(), version, as_of) == (2, lake.version(TABLE), datetime(2024, 1, 4))
    asked = datetime(2024, 1, 2)
    rows, _, as_of = online_snapshot(lake, TABLE, as_of=asked)
    assert (rows["purchase_count"].item(), as_of) == (1, asked)
    assert online_snapshot(lake, TABLE, as_of=datetime(2025, 1, 1))[2] == datetime(2024, 1, 4)
    with pytest.raises(MissingTableError, match="no rows before 2023"):
        online_snapshot(lake, TABLE, as_of=datetime(2023, 1, 1))


def test_new_days_leave_the_files_of_earlier_months_alone(tmp_path, write_shop):
    """Even though the data's clock moves; the month that goes on is written again."""
    months = [{"transaction_id": str(month), "timestamp": f"2024-0{month}-10 10:00:00"} for month in (1, 2, 3)]
    lake = built(tmp_path, write_shop(transactions=months))
    before = paths(lake)
    later = [{"transaction_id": "4", "timestamp": "2024-03-11 10:00:00"}]
    ingest(lake, str(write_shop("later", only=("transactions",), transactions=later)))
    assert build(lake).gold[TABLE] == 2
    after = paths(lake)
    assert {"2024-01-01", "2024-02-01", "2024-03-01"} == {month for _, month in after}
    assert {month for (_, month), path in after.items() if before[0, month] == path} == {"2024-01-01", "2024-02-01"}


def test_a_late_row_changes_its_buckets_months_from_then_on(tmp_path, write_shop):
    """The other buckets' files, and those of months before, stay."""
    customers = [{"customer_id": str(number)} for number in range(1, 5)]
    sales = [
        {"transaction_id": f"{number}0{month}", "customer_id": str(number), "timestamp": f"2024-0{month}-10 10:00:00"}
        for number in range(1, 5)
        for month in (1, 2, 3)
    ]
    lake = built(tmp_path, write_shop(customers=customers, transactions=sales, events=[]), rows_per_bucket=4)
    before = paths(lake)
    late = [{"transaction_id": "9", "customer_id": "1", "timestamp": "2024-02-20 10:00:00", "product_id": ""}]
    late += [late[0] | {"transaction_id": "8", "product_id": "1630"}]
    ingest(lake, str(write_shop("late", only=("transactions",), transactions=late)))
    build(lake)
    after = paths(lake)
    (mine,) = lake.scan(TABLE).filter(pl.col("customer_id") == 1).collect()["bucket"].unique()
    assert before.keys() == after.keys()
    assert len({bucket for bucket, _ in before}) > 1
    changed = {place for place in after if before[place] != after[place]}
    assert {(mine, "2024-02-01"), (mine, "2024-03-01")} == changed


def test_a_month_without_rows_loses_its_files(tmp_path, write_shop):
    """A correction moves its only sale into another month."""
    sales = [{"transaction_id": str(month), "timestamp": f"2024-0{month}-10 10:00:00"} for month in (1, 2, 3)]
    lake = built(tmp_path, write_shop(transactions=sales))
    moved = [sales[1] | {"timestamp": "2024-03-20 10:00:00"}]
    ingest(lake, str(write_shop("moved", only=("transactions",), transactions=moved)))
    build(lake)
    assert {"2024-01-01", "2024-03-01"} == {month for _, month in paths(lake)}
    ingest(lake, str(write_shop("again", only=("products",), products=[{"category": "Garden"}])))
    assert TABLE not in build(lake).gold


def test_a_table_that_was_not_by_day_is_made_anew(tmp_path, write_shop):
    """Its older version stays readable, and says what to do where a history is asked of it."""
    lake = Lake(Settings(var_dir=tmp_path / "var", lake_root=""))
    old = pl.DataFrame({"customer_id": [7], "product_id": [1630], "as_of": [datetime(2024, 1, 2)], "bucket": [0]})
    lake.append(TABLE, old, partition_by="as_of")
    version = lake.version(TABLE)
    ingest(lake, str(write_shop()))
    build(lake)
    assert lake.scan(TABLE).collect_schema() == SCHEMA
    assert lake.scan(TABLE).collect().height == 1
    assert lake.scan(TABLE, version).collect().height == 1
    assert build(lake).gold == {}
    with pytest.raises(MissingTableError, match="not by day: run `shopsphere build`"):
        interactions_before(lake.scan(TABLE, version), CUTOFF)


def built(folder, csvs, rows_per_bucket=4_000):
    """A lake of the files."""
    lake = Lake(Settings(var_dir=folder / "var", lake_root="", rows_per_bucket=rows_per_bucket))
    ingest(lake, str(csvs))
    build(lake)
    return lake


def paths(lake):
    """The table's files by bucket and month."""
    files = lake.files(TABLE)
    return {(int(file.partition["bucket"]), file.partition["month"]): file.path for file in files}
