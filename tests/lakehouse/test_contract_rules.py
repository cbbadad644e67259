"""The contract, row by row: what each quirk of raw data becomes."""

from decimal import Decimal

import pytest
from contract_lake import loaded, table

from lakehouse.build import build
from lakehouse.contracts import key_of, rules
from lakehouse.ingest import ingest
from lakehouse.quarantine import by_file, by_rule, examples
from lakehouse.query import sql
from lakehouse.settings import Settings
from lakehouse.storage import Lake

REJECTED = [
    ("transactions", {"customer_id": ""}, "customer_id_missing"),
    ("transactions", {"product_id": "16.5"}, "product_id_not_a_whole_number"),
    ("transactions", {"timestamp": "2024-01-01T10:00"}, "timestamp_not_a_timestamp"),
    ("transactions", {"timestamp": "2024-02-30 10:00:00"}, "timestamp_not_a_timestamp"),
    ("transactions", {"discount_applied": "1.5"}, "discount_applied_not_in_0_to_1"),
    ("transactions", {"gross_revenue": ""}, "gross_revenue_missing"),
    ("transactions", {"gross_revenue": "1e400"}, "gross_revenue_not_an_amount"),
    ("transactions", {"product_id": ""}, "product_id_missing"),
    ("transactions", {"refund_flag": "2"}, "refund_flag_not_0_or_1"),
    ("transactions", {"refund_flag": "1"}, "refund_above_zero"),
    ("transactions", {"gross_revenue": "-68.76"}, "sale_below_zero"),
    ("transactions", {"quantity": "0"}, "quantity_below_1"),
    ("events", {"session_duration_sec": "nan"}, "session_duration_sec_not_a_number"),
    ("events", {"event_type": " "}, "event_type_missing"),
    ("events", {"page_category": "x" * 10_001}, "page_category_too_long"),
    ("campaigns", {"end_date": "2023-12-31"}, "end_date_before_start_date"),
    ("customers", {"age": "-1"}, "age_below_0"),
    ("promotions", {"display": "1.01"}, "display_not_in_0_to_1"),
    ("promotions", {"mailer": "A"}, "mailer_not_in_0_to_1"),
    ("promotions", {"week_start": "2024-W02"}, "week_start_not_a_date"),
    ("promotions", {"product_id": ""}, "product_id_missing"),
]


KEPT = [
    ("events", {"traffic_source": "ORGANIC"}, "traffic_source_case", "traffic_source", "organic"),
    ("events", {"device_type": ""}, "device_type_empty", "device_type", "unknown"),
    ("events", {"customer_id": "7.0"}, "customer_id_written_as_float", "customer_id", 7),
    ("transactions", {"campaign_id": "0"}, None, "campaign_id", None),
    ("transactions", {"gross_revenue": "68.764"}, None, "gross_revenue", Decimal("68.76")),
    ("transactions", {"customer_id": "8"}, "customer_id_unknown", "customer_id", 8),
    ("transactions", {"product_id": "9"}, "product_id_unknown", "product_id", 9),
    ("transactions", {"gross_revenue": "70"}, "gross_revenue_off_list_price", "quantity", 2),
    ("transactions", {"timestamp": "2022-01-01 00:00:00"}, "before_signup", "quantity", 2),
    ("transactions", {"timestamp": "2022-01-01 00:00:00"}, "before_launch", "quantity", 2),
    (
        "transactions",
        {"timestamp": "2025-01-01 00:00:00", "campaign_id": "3"},
        "outside_campaign_dates",
        "quantity",
        2,
    ),
    ("transactions", {"product_id": "", "gross_revenue": ""}, "unpriced", "product_id", None),
    ("events", {"campaign_id": "3"}, "campaign_without_paid_source", "campaign_id", 3),
    (
        "events",
        {"campaign_id": "3", "traffic_source": "Social"},
        "traffic_source_off_channel",
        "traffic_source",
        "social",
    ),
    ("events", {"product_id": ""}, "product_id_missing_on_event", "product_id", None),
    ("promotions", {"product_id": "9"}, "product_id_unknown", "product_id", 9),
    ("promotions", {"product_id": "1630.0"}, "product_id_written_as_float", "product_id", 1630),
    ("promotions", {"mailer": ""}, None, "mailer", None),
]

BREAKERS = {"traffic_source_off_channel": 2}
"""Rules that more rows break than the one that is there for them: what has no paid source is off its channel too."""


def changes_of(cases):
    """Each table's changes of a good row, every one once."""
    found = {}
    for changed, change, *_ in cases:
        if change not in found.setdefault(changed, []):
            found[changed].append(change)
    return found


def line_of(cases, changed, change):
    """Where `dirty` writes the row: after the header and a good row."""
    return 3 + changes_of(cases)[changed].index(change)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory, write_shop_in):
    """Makes a lake of cases: one build takes in all of their rows, each with a key of its own."""

    def make(cases):
        folder = tmp_path_factory.mktemp("dirty")
        rows = {
            name: [{}, *({key_of(name): str(number)} | change for number, change in enumerate(changes, 100))]
            for name, changes in changes_of(cases).items()
        }
        return loaded(Lake(Settings(var_dir=folder / "var", lake_root="")), write_shop_in(folder / "raw", **rows))

    return make


@pytest.fixture(scope="module")
def rejected(dirty):
    """The lake of all rows that must be rejected."""
    return dirty(REJECTED)


@pytest.fixture(scope="module")
def kept(dirty):
    """The lake of all rows that can be kept."""
    return dirty(KEPT)


@pytest.mark.parametrize(("changed", "change", "rule"), REJECTED)
def test_a_row_that_must_be_rejected_is_in_quarantine(rejected, changed, change, rule):
    """It has the rule's name and its own text; silver does not have it, and has the good row before it."""
    line = line_of(REJECTED, changed, change)
    found = [
        row for row in table(rejected, "silver.quarantine") if (row["table"], row["source_line"]) == (changed, line)
    ]
    assert [rule] == [row["rule"] for row in found]
    assert next(iter(change.values())) in found[0]["raw"]
    assert [row["source_line"] for row in table(rejected, f"silver.{changed}")] == [2]
    assert rules(changed)[rule][0] == "reject"


@pytest.mark.parametrize(("changed", "change", "rule", "column", "value"), KEPT)
def test_a_row_that_can_be_kept_is_kept_and_counted(kept, *, changed, change, rule, column, value):
    """Repaired or warned about; silver.checks counts it and none of the others."""
    line = line_of(KEPT, changed, change)
    assert [value] == [row[column] for row in table(kept, f"silver.{changed}") if row["source_line"] == line]
    counted = {row["rule"]: row["rows"] for row in table(kept, "silver.checks") if row["table"] == changed}
    if rule:
        assert counted[rule] == BREAKERS.get(rule, 1)
        assert rules(changed)[rule][0] in ("repair", "warn")


def test_a_source_in_its_usual_spelling_is_not_repaired(lake, write_shop):
    """The contract's files write it with capitals; only another spelling is dirt."""
    sources = ["Organic", "organic", "Paid Search", "paid search", " Email"]
    rows = [{"event_id": str(number), "traffic_source": source} for number, source in enumerate(sources)]
    loaded(lake, write_shop(events=rows))
    found = sorted(table(lake, "silver.events"), key=lambda row: row["event_id"])
    assert [source.strip().lower() for source in sources] == [row["traffic_source"] for row in found]
    assert "traffic_source_case" not in {row["rule"] for row in table(lake, "silver.checks")}


def test_the_row_loaded_last_wins(lake, write_shop):
    """In one file the later line, in one run the later file by name, else the later run; the loser is superseded."""
    folder = write_shop(transactions=[{"quantity": "1"}, {"quantity": "2"}])
    (folder / "transactions-2.csv").write_bytes(
        (folder / "transactions.csv").read_bytes().replace(b",2,0.15", b",3,0.15").replace(b",1,0.15", b",4,0.15")
    )
    ingest(lake, str(folder))
    report = build(lake).silver
    assert (report.good["transactions"], report.quarantined["transactions"]) == (1, 3)
    winner = table(lake, "silver.transactions")
    assert [(row["quantity"], row["source_file"]) for row in winner] == [(2, "transactions.csv")]
    loaded(lake, write_shop("later", only=("transactions",), transactions=[{"quantity": "4"}]))
    assert [row["quantity"] for row in table(lake, "silver.transactions")] == [4]
    assert {"superseded"} == {row["rule"] for row in table(lake, "silver.quarantine")}
    assert all(row["rows"] == row["good"] + row["quarantined"] for row in by_file(lake).to_dicts())


def test_a_shop_may_lack_promotions(lake, write_shop):
    """It has no such table in any layer, nothing is said of it, and SQL finds it empty."""
    loaded(lake, write_shop())
    assert not lake.exists("bronze.promotions")
    assert not lake.exists("silver.promotions")
    assert "promotions" not in {*by_file(lake)["table"], *by_rule(lake)["table"]}
    assert by_file(lake, "promotions").is_empty()
    assert by_rule(lake, "promotions").is_empty()
    assert sql(lake, "select * from silver.promotions").is_empty()


def test_promotions_may_come_later(lake, write_shop):
    """Alone in a folder, as any table that is known; the quarantine accounts for their file."""
    loaded(lake, write_shop())
    broken = {"promotion_id": "2", "display": "-0.1"}
    loaded(lake, write_shop("later", only=(), promotions=[{}, broken]))
    assert by_file(lake, "promotions").select("rows", "good", "quarantined").rows() == [(2, 1, 1)]
    assert [row["mailer"] for row in table(lake, "silver.promotions")] == [1.0]


def test_a_corrected_file_heals_exactly_its_rows(lake, write_shop):
    """What it mends is no longer open, what it leaves broken is."""
    bad = [{"transaction_id": "1", "quantity": "x"}, {"transaction_id": "2", "quantity": "y"}, {"transaction_id": "z"}]
    loaded(lake, write_shop(transactions=bad))
    assert by_rule(lake).filter(severity="reject")["open"].sum() == 3
    mended = [{"transaction_id": "1"}, {"transaction_id": "2", "quantity": "y"}, {"transaction_id": "3"}]
    loaded(lake, write_shop(only=("transactions",), transactions=mended))
    assert sorted(row["transaction_id"] for row in table(lake, "silver.transactions")) == [1, 3]
    still = examples(lake, "transactions", "quantity_not_a_whole_number")
    assert [row["key"] for row in still.to_dicts()] == [2, 2]
    assert by_rule(lake).filter(rule="transaction_id_not_a_whole_number")["open"].sum() == 0
