"""The contract, file by file: how raw files may be written, and that no row of any is lost on the way."""

import gzip
import itertools
import shutil
from datetime import datetime

import polars as pl
import pytest
from contract_lake import loaded, table
from hypothesis import HealthCheck, given, settings, strategies

from lakehouse.build import build
from lakehouse.contracts import REQUIRED, TABLES
from lakehouse.errors import SourceError
from lakehouse.ingest import ingest
from lakehouse.quarantine import by_file, by_rule
from lakehouse.settings import Settings
from lakehouse.silver.build import build_silver
from lakehouse.storage import Lake

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


def test_a_folder_may_have_any_name(lake, write_shop):
    """Its name is no pattern."""
    loaded(lake, write_shop("raw [2024] *?"))
    assert len(table(lake, "silver.transactions")) == 1


@pytest.mark.parametrize("year", ["22", "0999", "+10000", "+12345"])
def test_a_year_has_four_digits(lake, write_shop, year):
    """Else the row is in quarantine, and not in the first century, nor where nobody can read it."""
    rows = [{}, {"transaction_id": "2", "timestamp": "1000-01-01 00:00:00"}]
    rows += [{"transaction_id": "3", "timestamp": f"{year}-12-31 23:59:59"}]
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
