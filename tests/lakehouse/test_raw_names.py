"""Which files of a folder are read, and that the others are named."""

import gzip

import pytest

from lakehouse.errors import SourceError
from lakehouse.ingest import ingest
from lakehouse.sources.names import ignored, table_of


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("events.csv", "events"),
        ("Events.CSV", "events"),
        ("events-2024-05.csv", "events"),
        ("events_2024_05.Csv.GZ", "events"),
        ("TRANSACTIONS.csv.gz", "transactions"),
        ("transaction.csv", None),
        ("events.csv.zip", None),
        ("eventsold.csv", None),
        ("customers.xlsx", None),
    ],
)
def test_a_name_says_which_table_it_is_for(name, table):
    """Capitals mean nothing; what follows the table's name begins with a dash, an underscore or a dot."""
    assert table == table_of(name)


def test_files_that_look_like_data_and_are_not_read_are_named():
    """What lies beside data is not."""
    assert (
        ignored(["a.csv", "b.xlsx", "events.csv", "events.zip", "README.md", ".x.csv"]) == "a.csv, b.xlsx, events.zip"
    )
    assert ignored(f"{number:02}.csv" for number in range(22)).endswith("19.csv and 2 more")


def test_capitals_are_read_and_other_names_are_told(lake, write_shop):
    """Whatever the extension's case, compressed or not."""
    folder, said = write_shop(), []
    (folder / "transactions.csv").rename(folder / "Transactions.CSV")
    packed = gzip.compress((folder / "events.csv").read_bytes())
    (folder / "events.csv").rename(folder / "event.csv")
    (folder / "EVENTS.csv.GZ").write_bytes(packed)
    report = ingest(lake, str(folder), progress=said.append)
    assert {1} == set(report.rows.values())
    assert len(report.rows) == 5
    assert [line for line in said if line.startswith("ignored: event.csv;")]
    assert "bronze.events: 1 row (EVENTS.csv.GZ)" in said


def test_a_missing_table_is_told_beside_the_names_that_were_ignored(lake, write_shop, tmp_path):
    """The misspelt one is among them."""
    folder = write_shop()
    (folder / "transactions.csv").rename(folder / "transaction.csv")
    with pytest.raises(SourceError, match=r"has no transactions\.csv; .*; ignored: transaction\.csv; nothing"):
        ingest(lake, str(folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        ingest(lake, str(tmp_path / "empty"))
    assert str(caught.value).count("campaigns.csv") == 1


def test_a_folder_one_deeper_is_named(lake, write_shop, tmp_path):
    """Where it has all files that a shop needs, whatever their names' capitals."""
    folder = write_shop("shop/raw")
    (tmp_path / "shop" / "docs").mkdir()
    (folder / "transactions.csv").rename(folder / "Transactions.CSV")
    with pytest.raises(SourceError, match=f"name the folder that they are in, {folder}; nothing"):
        ingest(lake, str(tmp_path / "shop"))
    (folder / "events.csv").unlink()
    with pytest.raises(SourceError, match="name the folder that they are in; nothing"):
        ingest(lake, str(tmp_path / "shop"))


@pytest.mark.parametrize("address", ["gs://bucket/raw", "s3:/bucket/raw", "s3://"])
def test_an_address_that_is_no_folder_is_refused(lake, address):
    """It is not looked for among the folders."""
    with pytest.raises(SourceError, match="neither a folder nor s3://bucket"):
        ingest(lake, address)
