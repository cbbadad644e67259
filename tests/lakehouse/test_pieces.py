"""A file is split some lines at a time: wherever it is cut, every row is good or in quarantine, once."""

import pytest
from contract_lake import table

from lakehouse.forget import find, remove
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver import build
from lakehouse.silver.build import build_silver
from lakehouse.storage import Lake


@pytest.fixture(autouse=True)
def two_lines(monkeypatch):
    """Pieces of two lines."""
    monkeypatch.setattr(build, "LINES_PER_PIECE", 2)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_every_row_of_a_file_is_in_some_piece(lake, write_shop, rows):
    """Wherever the last piece ends."""
    events = [{"event_id": str(number)} for number in range(1, rows + 1)]
    _split(lake, write_shop(events=events))
    assert sorted(row["event_id"] for row in table(lake, "silver.events")) == list(range(1, rows + 1))


def test_lines_that_are_no_rows_hide_none_behind_them(lake, write_shop):
    """A file has more lines than rows where a field goes over several lines, and where lines are empty."""
    folder = write_shop(events=[{"event_id": str(number)} for number in range(1, 6)])
    header, first, *others = (folder / "events.csv").read_text().splitlines()
    long = first.replace(",PDP,", ',"P\nD\nP",')
    assert long != first
    (folder / "events.csv").write_text("\n".join([header, long, "", "", *others]) + "\n")
    _split(lake, folder)
    assert sorted(row["event_id"] for row in table(lake, "silver.events")) == [1, 2, 3, 4, 5]


def test_a_key_that_comes_again_in_another_piece_is_found(lake, write_shop):
    """Also in the first build of all, which compares with nothing that is there."""
    ids = ["1", "2", "3", "1"]
    events = [{"event_id": each, "page_category": f"page {place}"} for place, each in enumerate(ids)]
    _split(lake, write_shop(events=events))
    assert {row["event_id"]: row["page_category"] for row in table(lake, "silver.events")} == {
        1: "page 3",
        2: "page 1",
        3: "page 2",
    }
    assert [(row["rule"], row["key"]) for row in table(lake, "silver.quarantine")] == [("superseded", 1)]


def test_a_file_that_lost_its_first_lines_keeps_its_last(lake, write_shop, tmp_path, monkeypatch):
    """Whoever was forgotten had lines of their own; those of others are split again when buckets are divided anew."""
    events = [{"event_id": str(number), "customer_id": "8" if number > 3 else "7"} for number in range(1, 6)]
    _split(lake, write_shop(events=events, customers=[{}, {"customer_id": "8"}]))
    remove(lake, find(lake, 7))
    monkeypatch.setattr(build, "CROWDED", 0)
    smaller = Lake(Settings(var_dir=tmp_path / "var", lake_root="", rows_per_bucket=1))
    build_silver(smaller)
    assert smaller.transaction("silver.events", "buckets") > 1
    assert sorted(row["event_id"] for row in table(smaller, "silver.events")) == [4, 5]


def _split(lake, folder):
    ingest(lake, str(folder))
    build_silver(lake)
