"""`shopsphere catalog`: a stock DuckDB without extensions sees the tables as the lake has them."""

from datetime import datetime

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from lakehouse.catalog import CatalogError, catalog, secret_template
from lakehouse.dictionary import tables
from lakehouse.query import EMPTY
from lakehouse.settings import Settings
from shopsphere_cli.main import make_app


@pytest.fixture
def read():
    """A plain DuckDB that has run a catalog."""
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:

        def run(lake, table):
            connection.execute(catalog(lake))
            return connection.sql(f"from {table}").pl()

        yield run


@pytest.fixture(scope="module")
def stock(tiny_lake):
    """A plain DuckDB with the small shop's catalog."""
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute(catalog(tiny_lake))
        yield connection


@pytest.mark.parametrize("table", sorted(tables()))
def test_every_view_has_the_tables_rows(tiny_lake, stock, table):
    """Types, order of columns and values, partitions included; a table that is not there has no view.

    But for one that a shop may lack: it is empty.
    """
    if table in EMPTY:
        assert stock.sql(f"from {table}").pl().schema == EMPTY[table]
        return
    if not tiny_lake.exists(table):
        assert stock.sql(f"from duckdb_views() where schema_name || '.' || view_name = '{table}'").pl().is_empty()
        return
    expected = tiny_lake.scan(table).collect()

    assert_frame_equal(stock.sql(f"from {table}").pl(), expected, check_row_order=False)


def test_views_and_columns_carry_their_meaning(stock):
    """As in the dictionary."""
    view = "select comment from duckdb_views() where view_name = 'customer_features'"
    column = "select comment from duckdb_columns() where table_name = 'customer_features' and column_name = 'monetary'"

    assert stock.sql(view).fetchall()[0][0] == tables()["gold.customer_features"].grain
    assert stock.sql(column).fetchall()[0][0].endswith("[money]")


def test_a_filter_on_a_partition_leaves_other_files_closed(stock):
    """One as_of of two is one file of two, one month one of all months."""
    newest = stock.sql("select max(as_of) from gold.product_features").fetchall()[0][0]
    plan = stock.execute("explain select units from gold.product_features where as_of = $newest", {"newest": newest})
    assert "Scanning Files: 1/2" in plan.fetchall()[0][1]

    months = stock.sql("select count(distinct month) from gold.interactions").fetchall()[0][0]
    plan = stock.sql("explain select units from gold.interactions where month = date '2023-01-01'")
    assert f"Scanning Files: 1/{months}" in plan.fetchall()[0][1]


def test_partitions_of_any_text_and_none_are_read(lake, read):
    """Slashes, quotes, percent signs, nulls; digits stay text; a moment keeps its microseconds."""
    use_cases = ["a=1/ü 50%", "it's", "007", None]
    frame = pl.DataFrame({"prediction_id": list("abcd"), "use_case": use_cases})
    lake.append("predictions", frame, partition_by="use_case")
    moments = pl.DataFrame({"units": [1, 2], "as_of": [datetime(2024, 1, 1, 1, 2, 3, 456), datetime(2024, 1, 2)]})
    lake.append("gold.product_features", moments, partition_by="as_of")

    assert_frame_equal(read(lake, "predictions"), frame, check_row_order=False)
    assert_frame_equal(read(lake, "gold.product_features"), moments, check_row_order=False)


def test_columns_that_came_later_are_null_before(lake, read):
    """The prediction log grows with the models."""
    lake.append("predictions", pl.DataFrame({"prediction_id": ["a"]}))
    lake.append("predictions", pl.DataFrame({"prediction_id": ["b"], "clv_180d": [1.5]}))

    assert read(lake, "predictions").sort("prediction_id").rows() == [("a", None), ("b", 1.5)]


def test_an_empty_table_is_an_empty_view(lake, read):
    """With its columns."""
    lake.append("metrics", pl.DataFrame({"name": ["a"], "value": [1.0]}))
    lake.delete("metrics", "true")

    assert read(lake, "metrics").schema == {"name": pl.String, "value": pl.Float64}
    assert read(lake, "metrics").is_empty()


def test_the_delta_variant_is_sql_with_the_same_views(tiny_lake):
    """Running it needs the extension, so here it is parsed."""
    text = catalog(tiny_lake, delta=True)
    kinds = [statement.type.name for statement in duckdb.extract_statements(text)]

    assert (
        text.count("from delta_scan(") == kinds.count("CREATE") - 3 - len(EMPTY) == sum(map(tiny_lake.exists, tables()))
    )
    assert "read_parquet" not in text


def test_a_lake_on_s3_gets_a_template_without_the_keys(tmp_path):
    """The endpoint and how to reach it are filled in; keys, and those in the address, are not."""
    settings = Settings(
        var_dir=tmp_path,
        lake_root="s3://shop/lake",
        aws_endpoint_url="http://key1:secret1@minio:9000",
        aws_access_key_id="key1",
        aws_secret_access_key="secret1",  # noqa: S106
    )

    text = secret_template(settings)

    assert "endpoint 'minio:9000', url_style 'path', use_ssl false" in text
    assert "key1" not in text
    assert "secret1" not in text


def test_the_head_says_how_to_use_it_and_for_how_long(tiny_lake, tmp_path, monkeypatch):
    """With the file's own name; extensions are fetched only where they are needed."""
    monkeypatch.setenv("LAKE_ROOT", tiny_lake.root)
    file = tmp_path / "my lake.sql"
    CliRunner().invoke(make_app(), ["catalog", "--output", str(file)], catch_exceptions=False)
    head = file.read_text().partition("create")[0]
    assert f"duckdb -init '{file}'" in head
    assert "after\n-- `shopsphere forget` and `shopsphere maintain`" in head
    assert "install" not in head
    assert "from the internet, once:\ninstall delta; load delta;\n" in catalog(tiny_lake, delta=True)


def test_a_file_outside_its_partitions_folder_is_refused(lake):
    """Delta's log alone knows its partition: the variant with delta_scan reads it."""
    stage = lake.stage("gold.interactions", partition={"bucket": 1})
    (file,) = stage.write(pl.LazyFrame({"units": [1]}))
    file.partition["bucket"] = "2"
    schema = pl.Schema({"units": pl.Int64(), "bucket": pl.Int32()})
    lake.commit("gold.interactions", schema, add=[file], partition_by=["bucket"])

    with pytest.raises(CatalogError, match="--delta"):
        catalog(lake)
