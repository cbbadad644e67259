"""Which keys the facts have had, a bit each: enough to know that a row is new without reading any old one."""

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver.build import build_silver
from lakehouse.silver.keys import KEYS, blocks, had
from lakehouse.storage import Lake

LOWEST, HIGHEST = -(2**63), 2**63 - 1
IDS = st.integers(-70, 200) | st.integers(LOWEST, HIGHEST) | st.sampled_from([LOWEST, HIGHEST])
PIECES = st.lists(st.lists(IDS, max_size=30), max_size=4)


@settings(max_examples=40)
@given(pieces=PIECES, others=st.lists(IDS, max_size=10), asked=st.lists(IDS, max_size=10), more=st.data())
def test_a_key_is_known_where_any_piece_had_it(pieces, others, asked, more):
    """Whatever its size and sign, in whichever batch; what another table had does not count."""
    there = [key for piece in pieces for key in piece]
    asked = asked + (more.draw(st.lists(st.sampled_from(there))) if there else [])
    first = next((batch for batch, piece in enumerate(pieces, start=1) if piece), 1)
    with TemporaryDirectory() as folder:
        lake = Lake(Settings(var_dir=Path(folder), lake_root=""))
        for batch, piece in enumerate(pieces, start=1):
            _tell(lake, "events", piece, batch)
        _tell(lake, "transactions", others, 1)
        known = had(lake, "events", pl.Series(asked, dtype=pl.Int64), first).to_list()
    assert known == ([key for key in asked if key in there] if there else asked)


def test_any_key_may_be_known_where_a_batch_did_not_tell(lake):
    """A lake that was built before there was such a table."""
    asked = pl.Series([1, 2])
    assert had(lake, "events", asked, 1).to_list() == [1, 2]
    _tell(lake, "events", [7], 2)
    assert had(lake, "events", asked, 1).to_list() == [1, 2]
    assert had(lake, "events", asked, 2).to_list() == []


@pytest.mark.parametrize("told", [True, False])
def test_a_correction_is_found_by_its_key(lake, write_shop, told):
    """It replaces the row of long ago; so it does in a lake that has not told of its keys."""
    ingest(lake, str(write_shop("old", events=[{"event_id": str(number)} for number in range(1, 6)])))
    build_silver(lake)
    if not told:
        lake.delete(KEYS, "true")
    corrected = [{"event_id": "3", "page_category": "PDP"}, {"event_id": "6"}]
    ingest(lake, str(write_shop("new", only=("events",), events=corrected)))
    build_silver(lake)
    rows = lake.scan("silver.events").sort("event_id").select("event_id", "page_category").collect()
    assert rows["event_id"].to_list() == [1, 2, 3, 4, 5, 6]
    assert rows.filter(event_id=3)["page_category"].to_list() == ["PDP"]
    assert lake.scan("silver.quarantine").filter(rule="superseded").collect()["key"].to_list() == [3]


def test_new_rows_are_added_without_reading_an_old_one(lake, write_shop):
    """What a night costs does not grow with the shop's history."""
    ingest(lake, str(write_shop("old", events=[{"event_id": str(number)} for number in range(1, 6)])))
    build_silver(lake)
    for file in lake.files("silver.events"):
        (Path(lake.uri("silver.events")) / file.path).unlink()
    ingest(lake, str(write_shop("new", only=("events",), events=[{"event_id": "6"}, {"event_id": "70"}])))
    build_silver(lake)
    assert lake.transaction("silver.events", "batch") == 2


def _tell(lake, table, keys, batch):
    rows = blocks(pl.Series(keys, dtype=pl.Int64), table, batch)
    lake.commit(KEYS, rows.schema, add=lake.stage(KEYS).write(rows.lazy()) if rows.height else [])
