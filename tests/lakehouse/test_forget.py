"""Forgetting a customer: gone from every table and file, the rest as if they had never been there."""

import os
import shutil
import signal
import subprocess
import sys

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lakehouse.build import build
from lakehouse.erasures import ERASURES, begin, finish
from lakehouse.forget import ForgetError, find, held, purge, remove
from lakehouse.ingest import ingest
from lakehouse.naming import customer_id, in_raw
from lakehouse.predictions import append_records
from lakehouse.quarantine import by_file
from lakehouse.settings import Settings
from lakehouse.storage import Lake
from lakehouse.table_files import data_files, tables

WHO = 918_273_645
SALES = [
    {"transaction_id": "1", "customer_id": f"{WHO}.0"},
    {"transaction_id": "1", "customer_id": f"{WHO}.0", "quantity": "1", "gross_revenue": "34.38"},
    {"transaction_id": "2", "customer_id": str(WHO), "quantity": "none"},
    {"transaction_id": "3", "customer_id": "8", "timestamp": "2024-01-05 10:00:00"},
    {"transaction_id": "4", "customer_id": "8", "quantity": "0"},
]
EVENTS = [{"event_id": "1", "customer_id": str(WHO)}, {"event_id": "2", "customer_id": "8"}]
EVENTS += [{"event_id": "3", "customer_id": f"{WHO} ", "campaign_id": "3", "traffic_source": "Email"}]
CUSTOMERS = [{"customer_id": str(WHO)}, {"customer_id": "8"}, {"customer_id": f"00{WHO}", "age": "x"}]


def log_predictions(lake, sequence=1, about=((str(WHO), "customer"), ("8", "customer"), (str(WHO), "product"))):
    """An answer about the customer, one about another, and one about a product of the same number."""
    for number, (entity, table) in enumerate(about):
        record = {"ids": [f"p{number}"], "entity_ids": [entity], "use_case": "clv", "model_name": "clv"}
        record |= {"model_version": 1, "alias": "champion", "feature_table": f"gold.{table}_features"}
        record |= {"feature_version": 1, "as_of": "2024-01-02T00:00:00", "predicted_at": "2024-01-02T00:00:00"}
        record |= {"request_features": [[]], "default_features": [[]], "warnings": [[]], "columns": {"clv": [1.0]}}
        append_records(lake, [record], app_id=f"test{number}", sequence=sequence)


@pytest.fixture(scope="module")
def template(tmp_path_factory, write_shop_in):
    """A lake where the customer is in good, rejected, superseded and malformed rows, and in older versions."""
    lake = Lake(Settings(var_dir=tmp_path_factory.mktemp("template"), lake_root=""))
    folder = write_shop_in(lake.settings.var_dir / "a", customers=CUSTOMERS, events=EVENTS, transactions=SALES)
    with (folder / "transactions.csv").open("a") as file:
        file.write(f"5,2024-01-01 10:00:00,{WHO},too,few\n6,2024-01-01 10:00:00,8,too,few\n")
    ingest(lake, str(folder))
    build(lake)
    more = [{"transaction_id": "7", "customer_id": "8", "timestamp": "2024-01-04 10:00:00"}]
    ingest(lake, str(write_shop_in(lake.settings.var_dir / "b", only=("transactions",), transactions=more)))
    build(lake)
    log_predictions(lake)
    return lake


@pytest.fixture
def shop(template, lake):
    """A copy of it to change."""
    shutil.copytree(template.settings.var_dir / "lake", lake.settings.var_dir / "lake")
    return lake


def forget(lake, who=WHO):
    """All steps on the lake; gives the traces."""
    traces = find(lake, who)
    erasure = begin(lake, who, by="me")
    remove(lake, traces)
    purge(lake, traces)
    rows = sum(trace.rows for trace in traces)
    finish(lake, erasure, by="me", tables=[trace.table for trace in traces], rows=rows, models=[])
    return traces


def contents(lake, drop=("bucket", "batch")):
    """The rows of silver and gold in one order."""
    found = {}
    for table in tables(lake):
        if table.startswith(("silver.", "gold.")) and table not in ("silver.checks", "silver.changes", "silver.keys"):
            frame = lake.scan(table).collect().drop(drop, strict=False)
            found[table] = frame.sort(frame.columns)
    return found


def test_no_file_of_the_lake_holds_the_customer_afterwards(shop, naming):
    """Neither rows nor statistics, of no version; product 918273645's predictions stay."""
    root = shop.settings.var_dir / "lake"
    before = {"/".join(name.split("/")[:2]) for name in naming(root)}
    assert {"bronze/customers", "silver/quarantine", "gold/interactions", "silver/customer_history"} < before
    traces = forget(shop)
    logs = [name for name in naming(root) if "predictions/_delta_log" in name]
    assert naming(root) == logs
    assert sorted(shop.scan("predictions").collect()["prediction_id"]) == ["p1", "p2"]
    assert {"bronze.events", "gold.campaign_exposures", "predictions"} < {trace.table for trace in traces}
    assert find(shop, WHO) == []


def test_the_rest_is_as_if_the_customer_had_never_been_there(shop, tmp_path):
    """After the next build silver and gold equal a build from nothing, and every file's rows are accounted for."""
    forget(shop)
    assert build(shop).gold.keys() >= {"gold.product_features"}
    assert build(shop).gold == {}
    fresh = Lake(Settings(var_dir=tmp_path / "fresh", lake_root=""))
    (tmp_path / "fresh" / "lake").mkdir(parents=True)
    (tmp_path / "fresh" / "lake" / "bronze").symlink_to(shop.settings.var_dir / "lake" / "bronze")
    build(fresh)
    left, right = contents(shop), contents(fresh)
    assert left.keys() == right.keys()
    for table, frame in left.items():
        assert_frame_equal(frame, right[table], rel_tol=1e-9)
    files = by_file(shop)
    assert files.filter(pl.col("rows") != pl.col("good") + pl.col("quarantined")).is_empty()
    assert files.filter(pl.col("table") == "transactions")["rows"].to_list() == [3, 1]


def test_an_offered_file_does_not_bring_the_customer_back(shop, template, write_shop):
    """The same content is there already; of another, the customer's rows are left out and counted."""
    forget(shop)
    rows = shop.scan("bronze.transactions").collect().height
    assert not ingest(shop, str(template.settings.var_dir / "a")).changed
    said = []
    sales = [*SALES, {"transaction_id": "9", "customer_id": "8", "timestamp": "2024-01-03 10:00:00"}]
    ingest(shop, str(write_shop("c", only=("transactions",), transactions=sales)), progress=said.append)
    build(shop)
    assert shop.scan("bronze.transactions").collect().height == rows + 3
    assert "3 rows of forgotten customers were left out" in said
    assert find(shop, WHO) == []


def test_the_audit_says_when_by_whom_and_where_but_not_who(shop):
    """Two rows, begun and done."""
    traces = forget(shop)
    rows = shop.scan(ERASURES).sort("at").collect()
    assert rows["step"].to_list() == ["begun", "done"]
    assert rows["by"].to_list() == ["me", "me"]
    assert rows["rows_removed"].to_list() == [None, sum(trace.rows for trace in traces)]
    assert "silver.transactions" in rows["tables"][1]
    assert str(WHO) not in repr(rows.to_dicts())


def test_versions_that_held_the_customer_are_told(shop):
    """For the models that were trained on them; afterwards they cannot be read."""
    wanted = {"silver.transactions": [0, 1, 2], "silver.products": [1]}
    traces = find(shop, WHO)
    assert held(shop, traces, wanted)["silver.transactions"] == [1, 2]
    remove(shop, traces)
    purge(shop, traces)
    assert held(shop, traces, wanted)["silver.transactions"] == []
    assert shop.scan("silver.products", 1).collect().height == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from lakehouse import forget
from lakehouse.settings import Settings
from lakehouse.storage import Lake
lake = Lake(Settings(var_dir=Path(sys.argv[1]), lake_root=""))
left = int(sys.argv[2])
def counted(name):
    whole = getattr(forget, name)
    def step(*words):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*words)
    setattr(forget, name, step)
counted("_without")
counted("delete")
traces = forget.find(lake, 918_273_645)
forget.remove(lake, traces)
forget.purge(lake, traces)
"""


@pytest.mark.parametrize("steps", [5, 14])
def test_a_killed_forget_is_completed_by_the_next(shop, naming, steps):
    """SIGKILL while rows are removed, and while files are: every table is readable, and the second run ends it."""
    command = [sys.executable, "-c", KILLED, str(shop.settings.var_dir), str(steps)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    for table in tables(shop):
        shop.scan(table).collect()
    assert naming(shop.settings.var_dir / "lake" / "bronze")
    forget(shop)
    build(shop)
    assert [name for name in naming(shop.settings.var_dir / "lake") if "predictions/_delta_log" not in name] == []
    files = by_file(shop)
    assert files.filter(pl.col("rows") != pl.col("good") + pl.col("quarantined")).is_empty()


def test_a_file_of_a_running_ingest_stops_it(shop):
    """Fresh files of no version may be committed any moment; those of a killed run are taken along."""
    rows = shop.scan("bronze.events").collect().drop("file_digest")
    staged = shop.stage("bronze.events", partition={"file_digest": "new"}).write(rows.lazy())[0]
    with pytest.raises(ForgetError, match=r"bronze\.events has files"):
        find(shop, WHO)
    os.utime(f"{shop.uri('bronze.events')}/{staged.path}", (1, 1))
    forget(shop)
    assert staged.path not in data_files(shop, "bronze.events")


def test_other_numbers_stay(shop):
    """A customer whose id is part of another number, or a price, takes nothing else along."""
    assert {trace.table for trace in find(shop, 8)} > {"bronze.transactions", "silver.quarantine"}
    assert find(shop, 9182) == []
    assert find(shop, 1630) == []


def test_a_text_where_an_id_should_be_is_forgotten_too(lake, write_shop, naming):
    """A server logs whatever it was asked about, and a file may have an address for an id; other texts stay."""
    text, other = f"m{WHO}@shop.example", "other@shop.example"
    events = [{"event_id": str(number), "customer_id": who} for number, who in enumerate(("8", text, other), 1)]
    folder = write_shop("a", events=events)
    with (folder / "transactions.csv").open("a") as file:
        file.write(f"5,2024-01-01 10:00:00,{text},too,few\n6,2024-01-01 10:00:00,{other},too,few\n")
    ingest(lake, str(folder))
    build(lake)
    log_predictions(lake, about=((text, "customer"), (other, "customer")))
    assert find(lake, WHO) == []
    traces = forget(lake, text)
    assert {trace.table: trace.rows for trace in traces} == {
        "predictions": 1,
        "silver.quarantine": 2,
        "bronze.events": 1,
        "bronze.transactions": 1,
    }
    assert naming(lake.settings.var_dir / "lake") == []
    assert lake.scan("predictions").collect()["entity_id"].to_list() == [other]
    assert lake.scan("silver.quarantine").collect().height == 2
    said = []
    again = [*events, {"event_id": "9", "customer_id": "8", "timestamp": "2024-01-03 10:00:00"}]
    ingest(lake, str(write_shop("b", only=("events",), events=again)), progress=said.append)
    assert "1 row of forgotten customers was left out" in said
    assert find(lake, text) == []


@pytest.mark.parametrize(
    ("written", "meant"), [("007", 7), (" 7 ", 7), ("7.5", "7.5"), ("-1", "-1"), ("a b", "a b"), ("9" * 30, "9" * 30)]
)
def test_an_id_is_a_number_where_it_is_one(written, meant):
    """As the server reads it: no more digits than the lake's type has."""
    assert customer_id(written) == meant


@pytest.mark.parametrize("text", ["9" * 30, "a b", "x|y", "(c)", r"d\d", "[e]", "ü&~#-.f", "$g^", "{1}", "h*+?"])
def test_any_text_is_looked_for_as_it_is(text):
    """Not as a pattern; and within another text it is not found."""
    rows = pl.DataFrame({"customer_id": [text, f"{text}{text}", "7", None], "raw": [None, None, None, f"1,{text},2"]})
    assert rows.select(in_raw([text, 8])).to_series().to_list() == [True, False, False, True]
