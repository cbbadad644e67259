"""The real receipts, mapped: the counts and the revenue that the source is known to have."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from lakehouse.build import build, data_clock
from lakehouse.ingest import ingest
from lakehouse.query import sql
from lakehouse.settings import Settings
from lakehouse.storage import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Complete Journey, ingested and built."""
    lake = Lake(Settings(var_dir=tmp_path_factory.mktemp("complete_journey"), lake_root=""))
    ingest(lake, "complete_journey")
    build(lake)
    return lake


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("customers", 2_467),
        ("products", 67_844),
        ("campaigns", 27),
        ("events", 1_450_833),
        ("transactions", 1_442_147),
        ("promotions", 972_467),
    ],
)
def test_every_row_arrives(lake, table, rows):
    """Bronze and silver have all rows, and none is in quarantine."""
    assert sql(lake, f"select count(*) from bronze.{table}").item() == rows
    assert sql(lake, f"select count(*) from silver.{table}").item() == rows
    assert sql(lake, "select count(*) from silver.quarantine").item() == 0


def test_the_revenue_is_exact_in_every_layer(lake):
    """To the cent, in silver and in both gold tables that sum it."""
    revenue = Decimal("4186626.80")
    assert sql(lake, "select sum(gross_revenue) from silver.transactions").item() == revenue
    newest = "as_of = (select max(as_of) from gold.product_features)"
    assert sql(lake, f"select sum(monetary) from gold.customer_features where {newest}").item() == revenue
    assert sql(lake, f"select sum(revenue_total) from gold.product_features where {newest}").item() == revenue


def test_mailings_are_exposures(lake):
    """Each mailed pair is an exposure; redemptions within the campaign are responses, five campaigns are censored."""
    found = sql(
        lake,
        "select count(*) as exposures, count(distinct campaign_id) filter (responded is null) as censored "
        "from gold.campaign_exposures",
    )
    assert found.row(0) == (6_589, 5)
    responders = "select distinct customer_id, campaign_id from silver.transactions where campaign_id is not null"
    assert sql(lake, f"select count(*) from ({responders})").item() == 790


def test_promotions_are_shares_of_stores_in_weeks_from_monday(lake):
    """One that had two places in some stores counts them once: 51 of 107 with a display, all with a mailer."""
    rows = lake.scan("silver.promotions")
    shown = rows.filter(pl.col("product_id") == 31159, pl.col("week_start") == date(2017, 1, 2))
    assert shown.select("display", "mailer").collect().row(0) == (0.4766, 1.0)
    odd = (pl.col("week_start").dt.weekday() != 1) | (pl.max_horizontal("display", "mailer") == 0)
    assert rows.filter(odd).collect().is_empty()


def test_the_data_has_its_own_clock(lake):
    """Midnight after the newest receipt, in the shops' time."""
    assert str(data_clock(lake)) == "2018-01-01 00:00:00"
