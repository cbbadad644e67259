"""The command `quarantine`: what a person sees of rows that broke a rule."""

import pytest
from typer.testing import CliRunner

from lakehouse.build import build
from lakehouse.ingest import ingest
from lakehouse.quarantine import examples, of_tables
from lakehouse.query import sql
from lakehouse.query_output import as_table
from shopsphere_cli.main import make_app


@pytest.fixture
def command(lake, monkeypatch):
    """Runs `shopsphere quarantine` on the test's lake."""
    monkeypatch.setenv("SHOPSPHERE_VAR", str(lake.settings.var_dir))
    monkeypatch.setenv("LAKE_ROOT", "")
    monkeypatch.setenv("COLUMNS", "250")
    return lambda *arguments: CliRunner().invoke(make_app(), ["quarantine", *arguments])


def loaded(lake, folder):
    """Ingest and build."""
    ingest(lake, str(folder))
    build(lake)


def test_rules_are_listed_with_counts_and_sample_rows(lake, write_shop, command):
    """A rejected row is shown with its file, line and text; a repaired one is counted."""
    loaded(lake, write_shop(transactions=[{"quantity": "0"}], events=[{"traffic_source": "ORGANIC"}]))
    printed = command().stdout
    assert "quantity_below_1" in printed
    assert "traffic_source_case" in printed
    assert 'transactions quantity_below_1: transactions.csv line 2: {"transaction_id":"1"' in printed
    assert "line 2" not in command("--samples", "0").stdout
    assert "quantity_below_1" not in command("events").stdout


def test_every_file_is_accounted_for(lake, write_shop, command):
    """Rows in, good, quarantined."""
    loaded(lake, write_shop(transactions=[{}, {"transaction_id": "2", "quantity": "0"}]))
    line = next(line for line in command("transactions", "--files").stdout.splitlines() if "transactions.csv" in line)
    assert [field.strip() for field in line.strip("│").split("┆")][-3:] == ["2", "1", "1"]


def test_the_text_of_a_superseded_row_comes_from_bronze(lake, write_shop):
    """As it came."""
    loaded(lake, write_shop(transactions=[{"quantity": "1"}]))
    loaded(lake, write_shop("later", only=("transactions",), transactions=[{"quantity": "3"}]))
    assert '"quantity":"1"' in examples(lake, "transactions", "superseded")["raw"].item()


@pytest.mark.parametrize(
    ("rule", "tables"),
    [
        ("session_of_several_customers", {"events": [{}, {"event_id": "2", "customer_id": "8"}]}),
        (
            "experiment_group_switches",
            {"events": [{"campaign_id": "3"}, {"event_id": "2", "campaign_id": "3", "experiment_group": "Variant_A"}]},
        ),
        ("purchase_without_transaction", {"events": [{"event_type": "purchase"}]}),
        ("transaction_without_purchase", {"events": [{"event_type": "view", "timestamp": "2024-01-01 10:00:00"}]}),
        ("promotion_of_the_same_week", {"promotions": [{}, {"promotion_id": "2", "display": "0.1"}]}),
    ],
)
def test_rules_over_whole_tables_count_rows(lake, write_shop, rule, tables):
    """Where no row can be blamed alone."""
    loaded(lake, write_shop(**tables))
    found = {row["rule"]: row["rows"] for row in of_tables(lake).to_dicts()}
    assert found[rule] == len(*tables.values())


def test_a_purchase_with_its_transaction_breaks_no_rule(lake, write_shop):
    """The identity of the contract: equal moment, customer, product and campaign."""
    loaded(lake, write_shop(events=[{"event_type": "purchase", "timestamp": "2024-01-01 10:00:00"}]))
    assert of_tables(lake).is_empty()


def test_mistakes_are_one_line(lake, write_shop, command):
    """An unknown table names those there are; a lake without data says what to do."""
    assert "shopsphere ingest" in str(command().exception)
    loaded(lake, write_shop())
    assert "there are customers, products" in str(command("shops").exception)
    assert "no row has broken 'unpriced'" in command("--rule", "unpriced").stdout
    assert "no such rule 'quantity_below_2', did you mean quantity_below_1" in str(
        command("--rule", "quantity_below_2").exception
    )
    assert "no such rule 'quantity_below_1' of events" in str(command("events", "--rule", "quantity_below_1").exception)
    assert "add --whole" in str(command("--rule", "purchase_without_transaction").exception)
    for also in (("--whole",), ("--rule", "unpriced")):
        assert "leave --rule and --whole away" in str(command("--files", *also).exception)


def test_control_characters_of_a_row_do_not_reach_the_terminal(lake, write_shop, command):
    """They are shown as escapes, in the samples and in answers of SQL."""
    folder = write_shop()
    path = folder / "transactions.csv"
    path.write_bytes(path.read_bytes() + b"2,\x1b[2J\x07,\xc2\x9b31m\n")
    loaded(lake, folder)
    printed = command().stdout
    assert r"transactions.csv line 3: 2,\x1b[2J\x07,\x9b31m" in printed
    assert not set(printed) & set("\x1b\x07\x9b")
    assert r"\x1b[2J" in as_table(sql(lake, "select raw from silver.quarantine"))
