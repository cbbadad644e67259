"""How silver's facts lie in files: what a build needs to count on is apart from what it can skip."""

import polars as pl
import pytest

from lakehouse.contracts import FACTS
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver.build import build_silver
from lakehouse.silver.split import RECENT
from lakehouse.storage import Lake


def spans(lake, table):
    """The first and the last moment of each file."""
    rows = (lake.read_files(table, [file]).select("timestamp").collect()["timestamp"] for file in lake.files(table))
    return [(moments.min(), moments.max()) for moments in rows]


@pytest.mark.parametrize("table", FACTS)
def test_the_last_days_of_an_export_in_any_order_are_apart(tiny_lake, table):
    """So that nobody who asks for them reads the years before."""
    newest = tiny_lake.scan(f"silver.{table}").select(pl.col("timestamp").max()).collect().item()
    recent = [first >= newest - RECENT for first, _ in spans(tiny_lake, f"silver.{table}")]
    old = [last < newest - RECENT for _, last in spans(tiny_lake, f"silver.{table}")]

    assert any(recent) and any(old)
    assert all(one != other for one, other in zip(recent, old, strict=True))


def test_a_file_of_some_days_stays_whole(tmp_path, tiny_csvs):
    """Which is what a shop sends every night."""
    source = tmp_path / "night"
    source.mkdir()
    for file in tiny_csvs.glob("*.csv"):
        rows = pl.read_csv(file, infer_schema=False)
        fact = "timestamp" in rows.columns
        rows.filter(pl.col("timestamp").str.starts_with("2023-02") if fact else True).write_csv(source / file.name)
    lake = Lake(Settings(var_dir=tmp_path, lake_root=""))
    ingest(lake, str(source))
    build_silver(lake)

    assert lake.scan("silver.events").select(pl.len()).collect().item() > 0
    assert len(lake.files("silver.events")) == len({file.partition["bucket"] for file in lake.files("silver.events")})
