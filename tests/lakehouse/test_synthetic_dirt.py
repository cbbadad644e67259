"""Dirt: all that is listed is in the raw files, all that is in them is listed, and silver names it."""

from pathlib import Path

import polars as pl
import pytest

from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver.build import build_silver
from lakehouse.sources import synthetic
from lakehouse.storage import Lake

KNOBS = synthetic.knobs_of("rich", dirty=True, customers=1000, products=30, days=300)
BROKEN = {"customers": 1, "products": 1, "campaigns": 1, "events": 2, "transactions": 3}
DAY_FIRST = pl.col("timestamp").str.contains(r"^\d\d-\d\d-\d{4}")
FLOAT = pl.col("product_id").str.ends_with(".0")
STRANGER = pl.col("customer_id").cast(pl.Int64) > KNOBS.customers
MOMENT = pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
SIGNS = {
    ("events", "unpriced"): pl.col("product_id").is_null() & (pl.col("event_type") == "purchase"),
    ("events", "device_null"): pl.col("device_type").is_null(),
    ("events", "source_case"): pl.col("traffic_source") == pl.col("traffic_source").str.to_uppercase(),
    ("events", "float_ids"): FLOAT,
    ("events", "day_first"): DAY_FIRST,
    ("events", "duplicates"): pl.col("event_id").is_duplicated(),
    ("events", "late"): pl.col("is_late"),
    ("events", "orphans"): STRANGER,
    ("events", "before_signup"): MOMENT.dt.date() < pl.col("signup_date").str.to_date(strict=False),
    ("events", "junk_sessions"): pl.col("session_id") == "0",
    ("transactions", "unpriced"): pl.col("product_id").is_null() & pl.col("gross_revenue").is_null(),
    ("transactions", "float_ids"): FLOAT,
    ("transactions", "day_first"): DAY_FIRST,
    ("transactions", "duplicates"): pl.col("transaction_id").is_duplicated(),
    ("transactions", "late"): pl.col("is_late"),
    ("transactions", "orphans"): STRANGER,
    ("transactions", "discount_out_of_range"): pl.col("discount_applied").cast(pl.Float64) > 1,
    ("transactions", "refund_above_zero"): (pl.col("refund_flag") == "1")
    & (pl.col("gross_revenue").cast(pl.Float64) > 0),
}
"""How a kind of dirt is seen in the raw text."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dirty shop."""
    folder = tmp_path_factory.mktemp("dirty")
    synthetic.generate(folder / "raw", folder / "truth", KNOBS)
    return folder


def rows(folder: Path, table: str) -> pl.DataFrame:
    """A table's rows as text, late ones too, without the broken lines, with the customer's signup date."""
    whole = pl.read_csv(folder / "raw" / f"{table}.csv", infer_schema=False).head(-BROKEN[table])
    late = pl.read_csv(folder / "raw" / f"{table}-late.csv", infer_schema=False)
    customers = pl.read_csv(folder / "raw" / "customers.csv", infer_schema=False)
    both = pl.concat([whole.with_columns(is_late=False), late.with_columns(is_late=True)])
    return both.join(customers.select("customer_id", "signup_date"), on="customer_id", how="left")


@pytest.mark.parametrize("sign", SIGNS, ids="-".join)
def test_the_list_is_the_dirt_that_is_found(folder: Path, sign: tuple[str, str]) -> None:
    """The same keys, and there are some."""
    table, kind = sign
    found = rows(folder, table).filter(SIGNS[sign]).to_series(0).cast(pl.Int64).unique().sort()
    listed = pl.read_parquet(folder / "truth" / "dirt.parquet").filter(pl.col("table") == table, pl.col("kind") == kind)
    assert found.to_list() == listed["key"].sort().to_list()
    assert len(found) > 0


def test_every_kind_of_dirt_is_tested(folder: Path) -> None:
    """The list has no kind without a sign, but for the broken lines, of which it has as many as there are."""
    listed = pl.read_parquet(folder / "truth" / "dirt.parquet")
    broken = listed.filter(pl.col("kind") == "broken_line")["table"].value_counts()
    assert dict(broken.iter_rows()) == BROKEN
    rest = listed.filter(pl.col("kind") != "broken_line")
    assert set(rest.select("table", "kind").unique().iter_rows()) == set(SIGNS)
    late = listed.filter(pl.col("kind") == "late")
    assert late["arrives_at"].null_count() == 0


def test_silver_rejects_what_is_wrong_and_keeps_what_is_odd(folder: Path, tmp_path: Path) -> None:
    """Day-first moments, impossible discounts, refunds above zero, duplicates and broken lines; nothing else."""
    lake = Lake(Settings(var_dir=tmp_path, lake_root=""))
    ingest(lake, str(folder / "raw"))
    report = build_silver(lake)
    listed = pl.read_parquet(folder / "truth" / "dirt.parquet")
    wrong = ["broken_line", "day_first", "discount_out_of_range", "refund_above_zero", "duplicates"]
    expected = listed.filter(pl.col("kind").is_in(wrong))["table"].value_counts()
    assert report.quarantined == dict(expected.iter_rows())
