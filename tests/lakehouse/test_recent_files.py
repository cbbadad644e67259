"""How silver's facts lie in files: what a build needs to count on is apart from what it can skip."""

import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lakehouse.contracts import FACTS
from lakehouse.gold.frozen_lake import data_span
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


@pytest.mark.parametrize("table", FACTS)
def test_the_log_tells_the_span_of_each_file(tiny_lake, table):
    """So that readers need not open it."""
    assert [file.span for file in tiny_lake.files(f"silver.{table}")] == spans(tiny_lake, f"silver.{table}")


@pytest.mark.parametrize("table", FACTS)
def test_who_asks_for_the_last_days_opens_no_other_file(tmp_path, tiny_lake, table):
    """A store answers each opening with a request or two: without the old files the answer is the same."""
    lake = Lake(Settings(var_dir=shutil.copytree(tiny_lake.settings.var_dir, tmp_path / "copy"), lake_root=""))
    files = lake.files(f"silver.{table}")
    since = max(file.span[1] for file in files) - RECENT
    recent = lake.scan(f"silver.{table}").filter(pl.col("timestamp") >= since).sort("source_line")
    wanted = recent.collect()
    old = [file for file in files if file.span[1] < since]
    for file in old:
        (Path(lake.uri(f"silver.{table}")) / file.path).unlink()

    assert old and wanted.height
    assert recent.collect().equals(wanted)


def test_the_datas_span_whether_or_not_the_log_tells_it(lake):
    """Other writers' files may be without; a newest row that is gone does not hold the clock."""
    days = [datetime(2024, 1, day, 12, 30, 15, 999_999) for day in range(1, 8)]
    for told, some in ((True, days[2:4]), (False, days[:1]), (False, days[4:5]), (True, days[5:])):
        rows = pl.DataFrame({"timestamp": some})
        files = lake.stage("silver.transactions").write(rows.lazy())
        lake.commit("silver.transactions", rows.schema, add=files if told else [replace(files[0], span=None)])
    spans_told = [file.span for file in lake.files("silver.transactions") if file.span]
    assert sorted(spans_told) == [(_cut(days[2]), _cut(days[3])), (_cut(days[5]), _cut(days[6]))]
    assert data_span(lake) == (days[0], datetime(2024, 1, 8))
    lake.commit("silver.transactions", rows.schema, remove=files)
    assert data_span(lake) == (days[0], datetime(2024, 1, 6))


def _cut(moment):
    """To the millisecond, as Delta's readers expect."""
    return moment - timedelta(microseconds=moment.microsecond % 1000)
