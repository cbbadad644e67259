"""A shop of a few rows, written as the contract's files, for tests that look at single values."""

import csv
from pathlib import Path

import polars as pl
import pytest

from bench.drill.store import s3_store
from lakehouse.contracts import REQUIRED, TABLES
from lakehouse.settings import Settings
from lakehouse.storage import Lake

CUSTOMER = {"customer_id": "7", "signup_date": "2023-01-01", "country": "DE", "age": "30", "gender": "Male"}
CUSTOMER |= {"loyalty_tier": "Gold", "acquisition_channel": "Email"}
PRODUCT = {"product_id": "1630", "category": "Home", "brand": "Brand_1", "base_price": "40.45", "is_premium": "0"}
PRODUCT |= {"launch_date": "2023-01-01"}
CAMPAIGN = {"campaign_id": "3", "channel": "Email", "objective": "Retention", "start_date": "2024-01-01"}
CAMPAIGN |= {"end_date": "2024-02-01", "target_segment": "All", "expected_uplift": "0.1"}
EVENT = {"event_id": "1", "timestamp": "2024-01-01 09:59:00", "customer_id": "7", "session_id": "5"}
EVENT |= {"event_type": "view", "product_id": "1630.0", "device_type": "mobile", "traffic_source": "Organic"}
EVENT |= {"campaign_id": "0", "page_category": "PDP", "session_duration_sec": "12.5", "experiment_group": "Control"}
TRANSACTION = {"transaction_id": "1", "timestamp": "2024-01-01 10:00:00", "customer_id": "7", "product_id": "1630.0"}
TRANSACTION |= {"quantity": "2", "discount_applied": "0.15", "gross_revenue": "68.76", "campaign_id": "0"}
TRANSACTION |= {"refund_flag": "0"}
PROMOTION = {"promotion_id": "1", "product_id": "1630", "week_start": "2024-01-01", "display": "0.25", "mailer": "1"}
GOOD = dict(zip(TABLES, (CUSTOMER, PRODUCT, CAMPAIGN, EVENT, TRANSACTION, PROMOTION), strict=True))


@pytest.fixture
def lake(tmp_path):
    """An empty lake in a folder."""
    return Lake(Settings(var_dir=tmp_path / "var", lake_root=""))


def _write(folder: Path, only: tuple[str, ...] = REQUIRED, **tables: list[dict[str, str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for table in {*only, *tables}:
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(TABLES[table]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(GOOD[table] | changes for changes in tables.get(table, [{}]))
    return folder


@pytest.fixture(scope="session")
def write_shop_in():
    """Write contract files into a folder, as `write_shop` does."""
    return _write


@pytest.fixture
def write_shop(tmp_path):
    """Write a folder of contract files: one good row per required table, or the given rows as changes of a good one."""

    def write(name: str = "raw", only: tuple[str, ...] = REQUIRED, **tables: list[dict[str, str]]) -> Path:
        return _write(tmp_path / name, only, **tables)

    return write


@pytest.fixture(scope="session")
def s3():
    """An S3 server: moto's, or the one at SHOPSPHERE_TEST_S3_ENDPOINT."""
    with s3_store() as store:
        yield store


@pytest.fixture
def s3_settings(s3, tmp_path):
    """Settings of an empty lake in a bucket of its own, with little patience."""
    return s3.settings(tmp_path / "var", f"s3://{s3.bucket()}/lake", s3_timeout_seconds=3)


@pytest.fixture(params=["disk", "s3"])
def either_settings(request, tmp_path):
    """Settings of an empty lake, in a folder and in a bucket."""
    if request.param == "disk":
        return Settings(var_dir=tmp_path / "var", lake_root="")
    return request.getfixturevalue("s3_settings")


@pytest.fixture(scope="module")
def small_csvs(tmp_path_factory, tiny_csvs):
    """The small shop's first 120 customers."""
    folder = tmp_path_factory.mktemp("small_csvs")
    for table in REQUIRED:
        rows = pl.read_csv(tiny_csvs / f"{table}.csv", infer_schema=False, truncate_ragged_lines=True)
        if "customer_id" in rows.columns:
            rows = rows.filter(pl.col("customer_id").cast(pl.Int64, strict=False).fill_null(0) <= 120)
        rows.write_csv(folder / f"{table}.csv")
    return folder
