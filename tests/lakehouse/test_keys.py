"""Which keys the facts have had, a bit each: enough to know that a row is new without reading any old one."""

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver import build, split
from lakehouse.silver.build import build_silver
from lakehouse.silver.keys import KEYS, SCHEMA, blocks, distinct, had
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
    with TemporaryDirectory() as folder:
        lake = Lake(Settings(var_dir=Path(folder), lake_root=""))
        for batch, piece in enumerate(pieces, start=1):
            _tell(lake, "events", piece, batch)
        if there:
            assert distinct(lake, lake.files(KEYS)) == len(set(there))
        _tell(lake, "transactions", others, 1)
        known = had(lake, "events", pl.Series(asked, dtype=pl.Int64)).to_list()
    assert known == [key for key in asked if key in there]


@pytest.mark.parametrize("untold", [{1}, {2}, {1, 2}, set()])
def test_a_correction_is_found_by_its_key(lake, write_shop, monkeypatch, untold):
    """Also in a lake some of whose batches told of no keys, as the code before did; from then on all are told."""
    for number in (1, 2):
        with monkeypatch.context() as patch:
            if number in untold:
                patch.setattr(build, "KEYED", "nobody asks for this")
                for module in (build, split):
                    patch.setattr(module, "blocks", lambda *_: pl.DataFrame(schema=SCHEMA))
            _night(lake, write_shop, [number, number * 1_000])
    _night(lake, write_shop, [1_000, 2_000, 3], page_category="Home")
    rows = lake.scan("silver.events").sort("event_id").select("event_id", "page_category").collect()
    assert rows["event_id"].to_list() == [1, 2, 3, 1_000, 2_000]
    assert rows.filter(page_category="Home")["event_id"].to_list() == [3, 1_000, 2_000]
    superseded = lake.scan("silver.quarantine").filter(rule="superseded").collect()
    assert sorted(superseded["key"]) == [1_000, 2_000]
    assert had(lake, "events", pl.Series([1, 2, 3, 4, 1_000, 2_000])).to_list() == [1, 2, 3, 1_000, 2_000]


def test_new_rows_are_added_without_reading_an_old_one(lake, write_shop):
    """What a night costs does not grow with the shop's history."""
    _night(lake, write_shop, [1, 2, 3, 4, 5])
    for file in lake.files("silver.events"):
        (Path(lake.uri("silver.events")) / file.path).unlink()
    _night(lake, write_shop, [6, 70])
    assert lake.transaction("silver.events", "batch") == 2


def _night(lake, write_shop, ids, **changes):
    rows = [{"event_id": str(each), **changes} for each in ids]
    ingest(lake, str(write_shop(f"night-{ids}", events=rows)))
    build_silver(lake)


def _tell(lake, table, keys, batch):
    rows = blocks(pl.Series(keys, dtype=pl.Int64), table, batch)
    lake.commit(KEYS, rows.schema, add=lake.stage(KEYS).write(rows.lazy()) if rows.height else [])
