"""The contract: what each quirk of raw data becomes, and that no row is lost on the way."""

import gzip
import itertools
import shutil
from datetime import datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from lakehouse.build import build
from lakehouse.contracts import REQUIRED, TABLES, key_of, rules
from lakehouse.errors import SourceError
from lakehouse.ingest import ingest
from lakehouse.quarantine import by_file, by_rule, examples
from lakehouse.query import sql
from lakehouse.settings import Settings
from lakehouse.silver.build import build_silver
from lakehouse.storage import Lake


def loaded(lake, folder, **options):
    """The lake after the folder was ingested and built."""
    ingest(lake, str(folder), **options)
    build(lake)
    return lake


def table(lake, name):
    """A table's rows as dicts."""
    return lake.scan(name).collect().to_dicts()


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


BROKEN_LINES = {
    "too_few_fields": b"2,2024-01-01 10:00:00,7",
    "too_many_fields": b"2,2024-01-01 10:00:00,7,1630,2,0.15,68.76,0,0,0",
    "not_utf8": b"2,2024-01-01 10:00:00,7,1630,2,0.15,68.76,0,\xe9",
    "nul_byte": b"2,2024-01-01 10:00:00,7,1630,2,0.15,68.76,\x00,0",
    "unclosed_quote": b'2,"2024-01-01 10:00:00,7,1630,2,0.15,68.76,0,0',
}


ENDS = [b"", b"\n", b"\n\n%d,2024-01-01 10:00:00,7,1630,2,0.15,68.76,0,0\n"]


def file_of(rule, end):
    """The file that has a broken line before an end."""
    return f"transactions-{rule}-{ENDS.index(end)}.csv"


@pytest.fixture(scope="module")
def broken(tmp_path_factory, write_shop_in):
    """A lake of one file for each broken line and end, after a good row; keys are their own."""
    folder = tmp_path_factory.mktemp("broken")
    raw = write_shop_in(folder / "raw")
    good = (raw / "transactions.csv").read_bytes()
    for number, (rule, end) in enumerate(itertools.product(BROKEN_LINES, ENDS), 1):
        before = good.replace(b"\n1,", b"\n%d," % (10 * number))
        after = end % (10 * number + 1) if b"%d" in end else end
        (raw / file_of(rule, end)).write_bytes(before + BROKEN_LINES[rule] + after)
    return loaded(Lake(Settings(var_dir=folder / "var", lake_root="")), raw)


@pytest.mark.parametrize("rule", BROKEN_LINES)
@pytest.mark.parametrize("end", ENDS)
def test_a_broken_line_is_one_row_of_quarantine(broken, rule, end):
    """The lines around it are read as if it were not there, and its number is the file's."""
    file = file_of(rule, end)
    found = [row for row in table(broken, "silver.quarantine") if row["source_file"] == file]
    assert [(rule, 3)] == [(row["rule"], row["source_line"]) for row in found]
    read = [row["source_line"] for row in table(broken, "silver.transactions") if row["source_file"] == file]
    assert ([2, 5] if b"%d" in end else [2]) == sorted(read)


def test_quoted_fields_may_hold_commas_and_lines(lake, write_shop):
    """As RFC 4180 has them."""
    loaded(lake, write_shop(products=[{"brand": 'A, "B"\nC'}]))
    assert [row["brand"] for row in table(lake, "silver.products")] == ['A, "B"\nC']


def test_compressed_files_are_the_same_content(lake, write_shop):
    """The second offer, compressed, commits nothing."""
    folder = write_shop()
    loaded(lake, folder)
    for name in REQUIRED:
        path = folder / f"{name}.csv"
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert not ingest(lake, str(folder)).changed


def test_dates_as_excel_saves_them_must_be_declared(lake, write_shop):
    """Undeclared they are refused with how to declare them; declared, the day comes first and `Null` is nothing."""
    folder = write_shop(
        events=[{"timestamp": "03-02-2024 09:05", "device_type": "Null"}],
        transactions=[{"timestamp": "03-02-2024 10:00", "product_id": "Null", "gross_revenue": "Null"}],
    )
    with pytest.raises(SourceError, match="--dialect excel"):
        ingest(lake, str(folder))
    assert not lake.exists("bronze.customers")
    loaded(lake, folder, dialect="excel")
    assert [datetime(2024, 2, 3, 9, 5)] == [row["timestamp"] for row in table(lake, "silver.events")]
    assert [row["product_id"] for row in table(lake, "silver.transactions")] == [None]
    assert [row["device_type"] for row in table(lake, "silver.events")] == ["unknown"]


@pytest.mark.parametrize(
    ("dates", "dialect", "said"),
    [
        (["25-06-2022 10:00", "26-06-2022 10:00"], "standard", "If that is DD-MM-YYYY"),
        (["06-25-2022 10:00", "06-05-2022 10:00"], "standard", "its month comes first"),
        (["06-25-2022 10:00", "06-05-2022 10:00"], "excel", "its month comes first"),
        (["06/25/2022 10:00"], "standard", "or as DD-MM-YYYY or DD-MM-YYYY HH:MM and declare that"),
        (["25/06/2022 10:00"], "excel", "write it as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS"),
        (["2022/06/25 10:00:00"], "standard", "write it as YYYY-MM-DD"),
        (["25.6.2022"], "excel", "write it as YYYY-MM-DD"),
        (["25-06-22 10:00"], "excel", "write it as YYYY-MM-DD"),
    ],
)
def test_dates_of_another_form_get_their_own_advice(lake, write_shop, dates, dialect, said):
    """Which forms are read; the dialect is only advised where the day may come first."""
    rows = [{"transaction_id": str(number), "timestamp": date} for number, date in enumerate(dates)]
    with pytest.raises(SourceError, match="nothing was loaded") as caught:
        ingest(lake, str(write_shop(transactions=rows)), dialect=dialect)
    assert said in str(caught.value)
    assert ("If that is" in said) == ("If that is" in str(caught.value))


def test_a_year_of_two_digits_is_no_year(lake, write_shop):
    """The row is in quarantine, and not in the first century."""
    rows = [{}, {"transaction_id": "2"}, {"transaction_id": "3", "timestamp": "22-01-01 10:00:00"}]
    loaded(lake, write_shop(transactions=rows))
    assert [row["rule"] for row in table(lake, "silver.quarantine")] == ["timestamp_not_a_timestamp"]


def test_a_file_loaded_in_the_wrong_dialect_is_healed_by_the_right_one(lake, write_shop):
    """Offered again it is other content: its good rows take the place of the old ones, its broken rows are mended."""
    sales = [{}, {"transaction_id": "2", "product_id": "Null", "gross_revenue": "Null"}]
    sales += [{"transaction_id": "3", "timestamp": "03-02-2024 10:00"}]
    folder = write_shop(transactions=sales)
    loaded(lake, folder)
    assert [row["transaction_id"] for row in table(lake, "silver.transactions")] == [1]
    assert by_rule(lake)["open"].sum() == 2
    loaded(lake, folder, dialect="excel")
    assert sorted(row["transaction_id"] for row in table(lake, "silver.transactions")) == [1, 2, 3]
    assert by_rule(lake)["open"].sum() == 0
    assert all(row["rows"] == row["good"] + row["quarantined"] for row in by_file(lake).to_dicts())
    assert not ingest(lake, str(folder), dialect="excel").changed
    assert not ingest(lake, str(folder)).changed


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: b"\xff\xfe" + raw.decode().encode("utf-16-le"), "UTF-16"),
        (lambda raw: raw.replace(b"customer_id", b"client", 1), "lacks 'customer_id' and has unknown 'client'"),
        (lambda raw: raw.replace(b"age", b"age,shoe_size", 1), "has unknown 'shoe_size'"),
        (lambda raw: b"", "is empty"),
        (lambda raw: raw.replace(b",", b";"), "has semicolons between its columns: save it with commas"),
        (lambda raw: raw.replace(b",", b"\t"), "has tabs between its columns"),
        (lambda raw: b"PK\x03\x04" + bytes(range(256)), "is not a CSV text file"),
        (lambda raw: b"\0\0\0", "is not a CSV text file"),
        (None, "has no customers.csv"),
    ],
)
def test_a_file_off_the_contract_is_one_clear_error(lake, write_shop, spoil, said):
    """It names the file and what is wrong, and nothing of the source is committed."""
    folder = write_shop()
    path = folder / "customers.csv"
    path.write_bytes(spoil(path.read_bytes())) if spoil else path.unlink()
    with pytest.raises(SourceError, match=r"customers\.csv") as caught:
        ingest(lake, str(folder))
    assert said in str(caught.value)
    assert str(caught.value).endswith("nothing was loaded")
    assert not lake.exists("bronze.events")


FIELD = strategies.one_of(
    strategies.sampled_from(["", "1", "2", "3.0", "0", "-4", "1e400", "nan", "x", "2024-02-30", "2024-02-01 10:00:00"]),
    strategies.text(max_size=8),
    strategies.binary(max_size=6).map(lambda raw: raw.decode("latin-1")),
)
ROWS = strategies.lists(strategies.lists(FIELD, min_size=9, max_size=9), max_size=8)


@pytest.fixture(scope="module")
def empty_shop(tmp_path_factory):
    """A lake of files without rows, built: what every example begins with."""
    folder = tmp_path_factory.mktemp("empty")
    raw = folder / "raw"
    raw.mkdir()
    for name, columns in TABLES.items():
        (raw / f"{name}.csv").write_text(",".join(columns) + "\n")
    loaded(Lake(Settings(var_dir=folder / "var", lake_root="")), raw)
    return folder / "var"


@given(strategies.lists(ROWS, min_size=1, max_size=3), strategies.sampled_from(["\n", "\r\n"]), strategies.booleans())
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_row_is_good_or_in_quarantine_for_every_file(tmp_path_factory, empty_shop, files, end, built_each_time):
    """Whatever the bytes, and after every run: rows in = good + quarantined, per file; no key twice in silver."""
    folder = tmp_path_factory.mktemp("any")
    shutil.copytree(empty_shop, folder / "var")
    lake = Lake(Settings(var_dir=folder / "var", lake_root=""))
    for number, rows in enumerate(files):
        raw = folder / f"raw{number}"
        raw.mkdir()
        lines = [",".join(TABLES["transactions"]), *(",".join(row) for row in rows)]
        (raw / "transactions.csv").write_bytes((end.join(lines) + end).encode("utf-8", "surrogatepass"))
        ingest(lake, str(raw))
        last = number == len(files) - 1
        if built_each_time or last:
            build(lake) if last else build_silver(lake)
            counts = by_file(lake, "transactions")
            assert counts.filter(pl.col("rows") != pl.col("good") + pl.col("quarantined")).is_empty()
            silver = lake.scan("silver.transactions").collect()
            assert silver["transaction_id"].n_unique() == silver.height
    assert lake.scan("silver.quarantine").collect()["rule"].null_count() == 0
