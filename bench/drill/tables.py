"""All tables of a built lake, in an order and form in which two lakes can be compared."""

import polars as pl
from polars.testing import assert_frame_equal

from lakehouse.contracts import TABLES, key_of
from lakehouse.quarantine import by_file
from lakehouse.silver.history import HISTORY
from lakehouse.storage import Lake

ROW_KEYS = {f"silver.{table}": [key_of(table)] for table in TABLES} | {
    HISTORY: ["customer_id", "valid_from"],
    "gold.customer_features": ["customer_id", "as_of"],
    "gold.customer_totals": ["customer_id", "as_of"],
    "gold.product_weeks": ["product_id", "week"],
    "gold.product_features": ["product_id", "as_of"],
    "gold.campaign_exposures": ["customer_id", "campaign_id"],
    "gold.interactions": ["customer_id", "product_id", "day"],
}
"""What a row of silver or gold is one of."""
KEYS = ROW_KEYS | {
    **{f"bronze.{table}": ["source_file", "source_line"] for table in TABLES},
    "silver.quarantine": ["table", "source_file", "source_line", "rule"],
    "silver.checks": ["table", "batch", "rule"],
}
STORED = ("bucket", "loaded_at")
"""Columns that say when and how a row was stored, and nothing of the shop."""


def contents(lake: Lake) -> dict[str, pl.DataFrame]:
    """Every table that exists, sorted by its key."""
    return {
        table: lake.scan(table).drop(*STORED, strict=False).collect().sort(key)
        for table, key in KEYS.items()
        if lake.exists(table)
    }


def differences(expected: dict[str, pl.DataFrame], lake: Lake) -> list[str]:
    """One sentence for each table that differs: exact, but for floats (1e-9 relative), and rows in = rows out."""
    found, faults = contents(lake), []
    for table, frame in expected.items():
        try:
            assert_frame_equal(frame, found[table], rel_tol=1e-9, abs_tol=0)
        except (AssertionError, KeyError) as error:
            faults.append(f"{table} differs: {' '.join(str(error).split())[:200]}")
    lost = by_file(lake).filter(pl.col("rows") != pl.col("good") + pl.col("quarantined")).height
    return faults + ([f"{lost} files have other rows in than out"] if lost else [])
