"""Ingest and build: nothing twice, nothing lost, nothing half-written, nothing seen from the future."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lakehouse.build import build, data_clock
from lakehouse.contracts import REQUIRED
from lakehouse.errors import ConfigurationError, MissingTableError, SourceError
from lakehouse.gold.as_of import online_snapshot
from lakehouse.ingest import ingest, offered
from lakehouse.query import SqlError, sql
from lakehouse.settings import Settings
from lakehouse.storage import Lake


@pytest.fixture
def csvs(tmp_path, tiny_csvs):
    """A copy of the small shop's CSVs to spoil."""
    folder = tmp_path / "csvs"
    folder.mkdir()
    for table in REQUIRED:
        (folder / f"{table}.csv").write_bytes((tiny_csvs / f"{table}.csv").read_bytes())
    return folder


def test_the_same_content_is_ingested_once(lake, csvs):
    """A second offer commits no row, with the source named or not; the build after it writes no version."""
    assert ingest(lake, str(csvs)).changed
    build(lake)
    tables = ["bronze.events", "silver.events", "gold.customer_features", "gold.interactions"]
    before = [lake.version(table) for table in tables]
    assert not ingest(lake).changed
    assert build(lake).gold == {}
    assert [lake.version(table) for table in tables] == before


def test_without_data_the_error_says_what_to_do(lake):
    """No source yet, no tables yet."""
    with pytest.raises(SourceError, match="name a source"):
        ingest(lake)
    with pytest.raises(MissingTableError, match="shopsphere ingest"):
        build(lake)


GOLD_KEYS = {
    "gold.customer_features": ["customer_id", "as_of"],
    "gold.product_features": ["product_id", "as_of"],
    "gold.campaign_exposures": ["customer_id", "campaign_id"],
    "gold.interactions": ["customer_id", "product_id", "day"],
}


@pytest.mark.parametrize("later", [None, pl.col("customer_id").reverse()])
def test_rows_from_the_cutoff_on_change_nothing_before_it(tmp_path, tiny_csvs, csvs, later):
    """Taken out or given to other customers, they leave every gold table as of the cutoff and before as it was."""
    whole, other = (Lake(Settings(var_dir=tmp_path / name, lake_root="")) for name in ("whole", "other"))
    cutoff = datetime(2023, 1, 20)
    for table in ("events", "transactions"):
        rows = pl.read_csv(tiny_csvs / f"{table}.csv", infer_schema=False)
        moment = pl.col("timestamp").str.to_datetime(strict=False)
        before, after = rows.filter(moment < cutoff), rows.filter(moment >= cutoff)
        assert after.height
        changed = after.clear() if later is None else after.with_columns(later)
        pl.concat([before, changed]).write_csv(csvs / f"{table}.csv")
    for lake, folder in ((whole, tiny_csvs), (other, csvs)):
        ingest(lake, str(folder))
        build(lake, as_of=[cutoff])
    for table, key in GOLD_KEYS.items():
        left, right = (_known_at(lake.scan(table), cutoff).sort(key).collect() for lake in (whole, other))
        assert left.height > 0
        assert_frame_equal(left.drop("bucket", strict=False), right.drop("bucket", strict=False), rel_tol=1e-9)


def _known_at(rows, cutoff):
    """The rows as of the cutoff; of days and exposures those before it, without outcomes not known by then."""
    names = rows.collect_schema().names()
    if "day" in names:
        return rows.filter(pl.col("day") < cutoff)
    if "responded" not in names:
        return rows.filter(pl.col("as_of") == cutoff)
    exposed = rows.filter(pl.col("as_of") < cutoff)
    return exposed.with_columns(pl.when(pl.col("window_end") <= cutoff).then("responded").alias("responded"))


def test_an_as_of_on_demand_is_added_once(tmp_path, csvs):
    """The old as_ofs stay; one outside the data is refused."""
    lake = Lake(Settings(var_dir=tmp_path / "var", lake_root=""))
    ingest(lake, str(csvs))
    build(lake)
    wanted = data_clock(lake) - timedelta(days=17)
    before = lake.scan("gold.customer_features").collect()
    assert set(build(lake, as_of=[wanted]).gold) == {"gold.customer_features", "gold.product_features"}
    assert build(lake, as_of=[wanted]).gold == {}
    after = lake.scan("gold.customer_features").collect()
    assert_frame_equal(before, after.filter(pl.col("as_of") != wanted), check_row_order=False)
    assert online_snapshot(lake, "gold.customer_features", as_of=wanted + timedelta(days=1))[2] == wanted
    with pytest.raises(ConfigurationError, match="no features as of"):
        build(lake, as_of=[datetime(1999, 1, 1)])


def test_sql_mistakes_are_one_error(tiny_lake):
    """DuckDB's sentence, no traceback."""
    with pytest.raises(SqlError, match="nothing_like_it"):
        sql(tiny_lake, "select * from gold.nothing_like_it")


@pytest.mark.parametrize(("table", "key"), GOLD_KEYS.items())
def test_gold_has_one_row_per_key(tiny_lake, table, key):
    """The grain that each table states."""
    found = sql(tiny_lake, f"select count(*) as n, count(distinct ({', '.join(key)})) as keys from {table}")
    assert found.item(0, "n") == found.item(0, "keys") > 0


def test_the_lake_can_be_an_s3_bucket(write_shop, s3_settings):
    """Ingest, build and SQL against an S3 server."""
    lake = Lake(s3_settings)
    ingest(lake, str(write_shop()))
    build(lake)
    assert sql(lake, "select count(distinct customer_id) from gold.customer_features").item() == 1
    assert not ingest(lake).changed


def test_a_shop_is_known_by_its_source_before_it_is_whole(lake, write_shop):
    """A run that dies while it loads leaves the name of what it was loading."""
    folder = write_shop()

    def die(sentence):
        raise KeyboardInterrupt(sentence)

    with pytest.raises(KeyboardInterrupt):
        ingest(lake, str(folder), progress=die)
    assert offered(lake) == [str(folder)]
