"""Ingest and build: nothing twice, nothing lost, nothing half-written, nothing seen from the future."""

import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta
from decimal import Decimal

import boto3
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from polars.testing import assert_frame_equal

from lakehouse.build import build, data_clock
from lakehouse.contracts import TABLES
from lakehouse.errors import ConfigurationError, MissingTableError, SourceError
from lakehouse.gold import customer_features, interactions, product_features
from lakehouse.gold.history import read_history
from lakehouse.ingest import ingest
from lakehouse.query import SqlError, online_snapshot, sql
from lakehouse.settings import Settings
from lakehouse.silver.build import split
from lakehouse.storage import Lake


@pytest.fixture
def lake(tmp_path):
    """An empty lake in a folder."""
    return Lake(Settings(var_dir=tmp_path / "var", lake_root=""))


@pytest.fixture
def csvs(tmp_path, tiny_csvs):
    """A copy of the small shop's CSVs to spoil."""
    folder = tmp_path / "csvs"
    folder.mkdir()
    for table in TABLES:
        (folder / f"{table}.csv").write_bytes((tiny_csvs / f"{table}.csv").read_bytes())
    return folder


def test_the_same_content_is_ingested_once(lake, csvs):
    """A second offer commits no row, with the source named or not; the build after it writes no version."""
    assert ingest(lake, str(csvs)).changed
    build(lake)
    tables = ["bronze.events", "silver.events", "gold.customer_features", "gold.interactions"]
    before = [lake.version(table) for table in tables]
    assert not ingest(lake).changed
    assert build(lake).gold == {}
    assert [lake.version(table) for table in tables] == before


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace("customer_id", "client", 1), "lacks 'customer_id' and has unknown 'client'"),
        (lambda text: text.replace("age", "age,shoe_size", 1), "has unknown 'shoe_size'"),
        (lambda text: text.replace("\n", ",too,many\n", 2), "unknown"),
        (lambda text: text + "1,2,3,4,5,6,7,8,9\n", "cannot read"),
        (None, "does not exist"),
    ],
)
def test_a_file_off_the_contract_is_one_clear_error(lake, csvs, spoil, said):
    """It names the file and what is wrong, and nothing of the source is committed."""
    path = csvs / "customers.csv"
    path.write_text(spoil(path.read_text())) if spoil else path.unlink()
    with pytest.raises(SourceError, match=r"customers\.csv") as caught:
        ingest(lake, str(csvs))
    assert said in str(caught.value)
    assert not lake.exists("bronze.events")


def test_without_data_the_error_says_what_to_do(lake):
    """No source yet, no tables yet."""
    with pytest.raises(SourceError, match="name a source"):
        ingest(lake)
    with pytest.raises(MissingTableError, match="shopsphere ingest"):
        build(lake)


FIELD = strategies.one_of(
    strategies.sampled_from(["", "1", "2", "3.0", "0", "-4", "1e400", "nan", "x", "2024-02-30", "2024-02-01 10:00:00"]),
    strategies.text(max_size=8),
)


@given(strategies.lists(strategies.fixed_dictionaries(dict.fromkeys(TABLES["transactions"], FIELD)), max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_row_is_good_or_in_quarantine_with_its_rule(rows):
    """Whatever the text, none is lost, doubled or without a reason."""
    moment = datetime(2024, 1, 1)
    bronze = pl.DataFrame(rows, schema=dict.fromkeys(TABLES["transactions"], pl.String)).with_columns(
        source_file=pl.lit("t.csv"), source_line=pl.int_range(2, pl.len() + 2), loaded_at=pl.lit(moment)
    )
    good, rejected = split("transactions", bronze.lazy())
    assert good.height + rejected.height == len(rows)
    assert rejected["rule"].null_count() == 0
    assert good["transaction_id"].n_unique() == good.height
    assert rejected["source_line"].n_unique() == rejected.height


def transaction(**values):
    """A good row of text with some values of its own."""
    row = {
        "transaction_id": "1",
        "timestamp": "2024-01-01 10:00:00",
        "customer_id": "7",
        "product_id": "1630.0",
        "quantity": "2",
        "discount_applied": "0.15",
        "gross_revenue": "68.76",
        "campaign_id": "0",
        "refund_flag": "0",
    }
    return {**row, **values}


def rows_of(*rows):
    """Bronze rows, each loaded a day after the one before."""
    loaded = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(len(rows))]
    lines = pl.DataFrame({"source_line": range(2, len(rows) + 2), "loaded_at": loaded})
    return (
        pl.concat([pl.DataFrame(list(rows)), lines], how="horizontal").with_columns(source_file=pl.lit("t.csv")).lazy()
    )


def test_values_are_exact():
    """Money to the cent, `1630.0` an id, campaign 0 none."""
    good, _ = split("transactions", rows_of(transaction()))
    row = good.row(0, named=True)
    assert (row["gross_revenue"], row["product_id"], row["campaign_id"]) == (Decimal("68.76"), 1630, None)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"customer_id": ""}, "customer_id_missing"),
        ({"product_id": "16.5"}, "product_id_not_a_whole_number"),
        ({"timestamp": "01-02-2024 10:00"}, "timestamp_not_a_timestamp"),
        ({"discount_applied": "1.5"}, "discount_applied_not_in_0_to_1"),
        ({"gross_revenue": ""}, "gross_revenue_missing"),
        ({"refund_flag": "2"}, "refund_flag_not_0_or_1"),
        ({"quantity": "0"}, "quantity_below_1"),
    ],
)
def test_a_broken_row_names_its_rule(change, rule):
    """One rule per row, and the row's own text beside it."""
    good, rejected = split("transactions", rows_of(transaction(**change)))
    assert good.is_empty()
    assert rejected["rule"].to_list() == [rule]
    assert "2024" in rejected["raw"].item()


def test_the_newest_of_equal_keys_wins():
    """The one loaded before is kept in quarantine as superseded; a row without product and price is a good one."""
    unpriced = transaction(product_id="", gross_revenue="")
    good, rejected = split("transactions", rows_of(transaction(), unpriced))
    assert good["gross_revenue"].to_list() == [None]
    assert rejected["rule"].to_list() == ["superseded"]


def test_rows_from_the_cutoff_on_change_no_feature(tmp_path, tiny_lake):
    """A lake without them gives the same rows as of the cutoff, in all three tables."""
    cutoff = data_clock(tiny_lake) - timedelta(days=100)
    earlier = Lake(Settings(var_dir=tmp_path, lake_root=""))
    for table in TABLES:
        rows = tiny_lake.scan(f"silver.{table}").collect()
        kept = rows.filter(pl.col("timestamp") < cutoff) if "timestamp" in rows.columns else rows
        earlier.overwrite(f"silver.{table}", kept)
    with_future, without = read_history(tiny_lake), read_history(earlier)
    pairs = [
        (customer_features.customer_features(history, [cutoff]) for history in (with_future, without)),
        (product_features.product_features(lake, [cutoff]) for lake in (tiny_lake, earlier)),
        (interactions.interactions(lake, [cutoff]) for lake in (tiny_lake, earlier)),
    ]
    for left, right in pairs:
        assert left.height > 0
        assert_frame_equal(left, right, rel_tol=1e-9)


def test_an_as_of_on_demand_is_added_once(tmp_path, csvs):
    """The old as_ofs stay; one outside the data is refused."""
    lake = Lake(Settings(var_dir=tmp_path / "var", lake_root=""))
    ingest(lake, str(csvs))
    build(lake)
    wanted = data_clock(lake) - timedelta(days=17)
    before = lake.scan("gold.customer_features").collect()
    assert set(build(lake, as_of=[wanted]).gold) == {
        "gold.customer_features",
        "gold.product_features",
        "gold.interactions",
    }
    assert build(lake, as_of=[wanted]).gold == {}
    after = lake.scan("gold.customer_features").collect()
    assert_frame_equal(before, after.filter(pl.col("as_of") != wanted), check_row_order=False)
    assert online_snapshot(lake, "gold.customer_features", as_of=wanted + timedelta(days=1))[2] == wanted
    with pytest.raises(ConfigurationError, match="no features as of"):
        build(lake, as_of=[datetime(1999, 1, 1)])


def test_sql_mistakes_are_one_error(tiny_lake):
    """DuckDB's sentence, no traceback."""
    with pytest.raises(SqlError, match="nothing_like_it"):
        sql(tiny_lake, "select * from gold.nothing_like_it")


@pytest.mark.parametrize("table", ["customer_features", "product_features", "campaign_exposures", "interactions"])
def test_gold_has_one_row_per_key(tiny_lake, table):
    """The grain that each table states."""
    key = {
        "customer_features": "customer_id, as_of",
        "product_features": "product_id, as_of",
        "campaign_exposures": "customer_id, campaign_id",
        "interactions": "customer_id, product_id, as_of",
    }[table]
    found = sql(tiny_lake, f"select count(*) as n, count(distinct ({key})) as keys from gold.{table}")
    assert found.item(0, "n") == found.item(0, "keys") > 0


@pytest.fixture
def s3_server():
    """An S3 server in a process of its own: deltalake holds Python's lock while it waits for an answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_the_lake_can_be_an_s3_bucket(tiny_csvs, tmp_path, s3_server):
    """Ingest, build and SQL against an S3 server."""
    credentials = {"aws_access_key_id": "key", "aws_secret_access_key": "not-a-secret"}
    boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1", **credentials).create_bucket(Bucket="lake")
    lake = Lake(Settings(var_dir=tmp_path, lake_root="s3://lake/shop", aws_endpoint_url=s3_server, **credentials))
    ingest(lake, str(tiny_csvs))
    build(lake)
    assert sql(lake, "select count(distinct customer_id) from gold.customer_features").item() == 500
    assert not ingest(lake).changed
