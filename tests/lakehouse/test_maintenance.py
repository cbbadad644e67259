"""Maintenance and history: fewer files, the same rows, and what is pinned stays readable."""

import os
import re
import shutil
import time

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lakehouse.build import build
from lakehouse.contracts import TABLES
from lakehouse.errors import MissingTableError
from lakehouse.forget import find, purge, remove
from lakehouse.history import history
from lakehouse.ingest import ingest
from lakehouse.maintenance import maintain
from lakehouse.pins import merged, prediction_pins
from lakehouse.predictions import append_records
from lakehouse.settings import Settings
from lakehouse.storage import Lake
from lakehouse.table_files import data_files, tables

DAY = 86_400
FEATURES = "gold.customer_features"


def two_weeks_pass(lake):
    """All that was written and removed is as if that had been two weeks ago."""
    past = time.time() - 14 * DAY
    for path in (lake.settings.var_dir / "lake").rglob("*"):
        if path.suffix == ".json":
            path.write_text(re.sub(r'("deletionTimestamp":)\d+', rf"\g<1>{int(past * 1000)}", path.read_text()))
        os.utime(path, (past, past))


@pytest.fixture(scope="module")
def template(tmp_path_factory, write_shop_in):
    """A shop whose three transactions came in three ingests, each with a build."""
    lake = Lake(Settings(var_dir=tmp_path_factory.mktemp("template"), lake_root=""))
    for part in range(3):
        sale = {"transaction_id": str(part), "customer_id": str(part + 7), "timestamp": f"2024-01-0{part + 1} 10:00:00"}
        only = ("transactions",) if part else tuple(TABLES)
        ingest(lake, str(write_shop_in(lake.settings.var_dir / f"part{part}", only=only, transactions=[sale])))
        build(lake)
    return lake


@pytest.fixture
def shop(template, lake):
    """A copy of it to change."""
    shutil.copytree(template.settings.var_dir / "lake", lake.settings.var_dir / "lake")
    return lake


def contents(lake):
    """Every table's rows in one order, without what only says how they were stored."""
    found = {}
    for table in tables(lake):
        frame = lake.scan(table).collect().drop("bucket", "batch", "offered_at", strict=False)
        scalars = [name for name, dtype in frame.schema.items() if not dtype.is_nested()]
        found[table] = frame.sort(scalars)
    return found


def assert_same(left, right):
    """The same tables with the same rows."""
    assert left.keys() == right.keys()
    for table, frame in left.items():
        assert_frame_equal(frame, right[table], rel_tol=1e-9)


def log_prediction(lake, version, customer="7", sequence=1):
    """Log one answer that rests on a version of the customer features."""
    record = {"ids": [f"p{sequence}"], "entity_ids": [customer], "use_case": "clv", "model_name": "clv"}
    record |= {"model_version": 1, "alias": "champion", "feature_table": FEATURES, "feature_version": version}
    record |= {"as_of": "2024-01-02T00:00:00", "predicted_at": "2024-01-02T00:00:00", "columns": {"clv_180d": [1.5]}}
    record |= {"request_features": [[]], "default_features": [[]], "warnings": [[]]}
    append_records(lake, [record], app_id="test", sequence=sequence)


def test_small_files_become_few_and_the_rows_stay(shop):
    """Every table says the same afterwards, each partition has one file, and a second run writes no version."""
    before = contents(shop)
    assert len(shop.files("silver.transactions")) == 3
    reports = {report.table: report for report in maintain(shop, pins={})}
    assert (reports["silver.transactions"].files_before, reports["silver.transactions"].files_after) == (3, 1)
    assert_same(before, contents(shop))
    versions = [shop.version(table) for table in tables(shop)]
    maintain(shop, pins={})
    assert versions == [shop.version(table) for table in tables(shop)]


def test_a_build_after_maintenance_equals_one_without(shop, template, write_shop, tmp_path):
    """Corrections supersede compacted rows, and new rows replace compacted partitions, as if nothing had been done."""
    other = Lake(Settings(var_dir=tmp_path / "other", lake_root=""))
    shutil.copytree(template.settings.var_dir / "lake", tmp_path / "other" / "lake")
    two_weeks_pass(shop)
    maintain(shop, pins={})
    fresh = [{"transaction_id": "1", "quantity": "3"}, {"transaction_id": "9", "customer_id": "8"}]
    for each in (shop, other):
        ingest(each, str(write_shop("correction", only=("transactions",), transactions=fresh)))
        build(each)
    left, right = (
        {t: f.drop("loaded_at", strict=False) for t, f in contents(each).items() if not t.startswith("bronze")}
        for each in (shop, other)
    )
    assert left["silver.transactions"].height == 4
    assert_same(left, right)


def test_pinned_versions_stay_readable_and_others_go(shop):
    """Also when the log's own clean-up of 30 days would have taken them; the report names who keeps what."""
    pinned = shop.version(FEATURES) - 1
    rows = shop.scan(FEATURES, pinned).collect()
    log_prediction(shop, pinned)
    two_weeks_pass(shop)
    pins = merged(prediction_pins(shop), {"silver.transactions": {1: ["clv 3"]}})
    report = next(report for report in maintain(shop, pins=pins) if report.table == FEATURES)
    assert report.bytes_freed > 0
    assert {pinned: ["1 prediction"]} == report.kept
    assert_frame_equal(rows, shop.scan(FEATURES, pinned).collect(), check_row_order=False)
    assert shop.scan("silver.transactions", 1).collect().height == 1
    with pytest.raises((FileNotFoundError, OSError)):
        shop.scan(FEATURES, 1).collect()


def test_a_pin_outlives_the_logs_retention(shop):
    """Checkpoints of later commits do not clean away the log of a version that is pinned for longer than 30 days."""
    schema = shop.scan(FEATURES).collect_schema()
    shop.change(FEATURES, lambda delta: delta.alter.set_table_properties({"delta.checkpointInterval": "1"}))
    past = time.time() - 40 * DAY
    for path in (shop.settings.var_dir / "lake").rglob("_delta_log/*"):
        os.utime(path, (past, past))
    for number in range(3):
        shop.commit(FEATURES, schema, app={"test": number})
    maintain(shop, [FEATURES], pins={FEATURES: {1: ["clv 1"]}})
    assert shop.scan(FEATURES, 1).collect().height > 0


def test_only_old_files_of_no_version_are_cleaned(shop):
    """What a killed build staged two weeks ago goes; what one staged just now may still be committed."""
    rows = pl.LazyFrame({"customer_id": [1]})
    old = shop.stage(FEATURES).write(rows)[0].path
    two_weeks_pass(shop)
    fresh = shop.stage(FEATURES).write(rows)[0].path
    maintain(shop, [FEATURES], pins={})
    assert old not in data_files(shop, FEATURES)
    assert fresh in data_files(shop, FEATURES)


def test_a_dry_run_says_what_would_go_and_does_nothing(shop):
    """The files and versions are as before; the figures are those of the real run."""
    two_weeks_pass(shop)
    before = {table: (data_files(shop, table), shop.version(table)) for table in tables(shop)}
    said = maintain(shop, pins={}, dry_run=True)
    assert before == {table: (data_files(shop, table), shop.version(table)) for table in tables(shop)}
    done = maintain(shop, pins={})
    assert [(r.files_after, r.deleted, r.bytes_freed) for r in said] == [
        (r.files_after, r.deleted, r.bytes_freed) for r in done
    ]
    assert sum(report.bytes_freed for report in said) > 0


def test_history_says_what_came_and_went(shop):
    """Newest first, with rows and files added and removed, and who pins a version."""
    maintain(shop, pins={})
    found = history(shop, "silver.transactions", pins={"silver.transactions": {3: ["clv 2"]}})
    assert [entry.version for entry in found] == [4, 3, 2, 1, 0]
    newest, pinned = found[0], found[1]
    assert (
        newest.operation,
        newest.files_added,
        newest.files_removed,
        newest.rows_added,
        newest.rows_removed,
    ) == ("optimize", 1, 3, 3, 3)
    assert (pinned.pinned_by, pinned.rows_added, pinned.rows_removed) == (("clv 2",), 1, 0)
    assert found[:2] == history(shop, "silver.transactions", limit=2, pins={"silver.transactions": {3: ["clv 2"]}})


@pytest.mark.parametrize("command", [history, lambda shop, name: maintain(shop, [name], pins={})])
def test_an_unknown_table_is_one_clear_line(shop, command):
    """It names the tables there are."""
    with pytest.raises(
        MissingTableError, match=r"no table 'gold.nothing'.*gold.customer_features, gold.customer_totals"
    ):
        command(shop, "gold.nothing")


def test_on_s3_too(s3_settings):
    """Maintenance keeps what is pinned, history tells it, and a customer can be forgotten in a bucket."""
    lake = Lake(s3_settings)
    rows = pl.LazyFrame({"customer_id": [7, 8]})
    for _ in range(3):
        lake.commit(FEATURES, rows.collect_schema(), add=lake.stage(FEATURES).write(rows))
    log_prediction(lake, 1)
    reports = {report.table: report for report in maintain(lake, pins=prediction_pins(lake))}
    assert (reports[FEATURES].files_after, reports[FEATURES].kept) == (1, {1: ["1 prediction"]})
    assert lake.scan(FEATURES, 1).collect().height == 2
    assert history(lake, FEATURES, limit=1)[0].operation == "optimize"
    traces = find(lake, 7)
    assert [(trace.table, trace.rows) for trace in traces] == [(FEATURES, 3), ("predictions", 1)]
    remove(lake, traces)
    purge(lake, traces)
    assert find(lake, 7) == []
    assert lake.scan(FEATURES).collect()["customer_id"].to_list() == [8, 8, 8]
