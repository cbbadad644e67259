"""Bulk scores: a table version per run, files for a campaign tool, and one line where there is nothing to score."""

import logging
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from lakehouse.errors import ConfigurationError, MissingTableError
from lakehouse.storage import Lake
from training import flows
from training.campaigns import CampaignTable, UnknownCampaignError
from training.constant import ConstantModel
from training.registry import Registry
from training.score import ScoringError, export, score
from training.use_cases.clv import CLV

EXAMPLE = ({"monetary": np.array([1.0])}, {})


@pytest.fixture
def champion(settings):
    """A registered constant that answers."""
    registry = Registry(settings)
    model = ConstantModel("clv", output="clv_180d", value=3.5, defaults={"monetary": 7.0})
    info = registry.log("clv", model, example=EXAMPLE, metrics={}, tags={})
    registry.set_champion("clv", info.version)
    return info


def test_everybody_is_scored_and_each_run_is_a_version(shop_lake, settings, champion, tmp_path):
    """The newest replaces the one before, and says which model and data it is from; the file holds the same rows."""
    told: list[str] = []
    first = score(settings, "clv", progress=told.append)
    second = score(settings, "clv", output=str(tmp_path / "scores.csv"))
    rows = shop_lake.scan("gold.clv_scores").collect()

    assert second.version == first.version + 1
    assert (rows.height, rows["customer_id"].n_unique(), rows["clv_180d"].unique().to_list()) == (60, 60, [3.5])
    assert rows.select("model_version", "feature_table", "feature_version").unique().row(0) == (
        champion.version,
        CLV.feature_table,
        0,
    )
    assert told == ["clv: 60 of 60 customers scored"]
    assert "60 rows by clv 1, the simple baseline, as of 2024-03-01" in first.line()
    assert pl.read_csv(tmp_path / "scores.csv")["customer_id"].sort().to_list() == list(range(1, 61))


def test_the_flow_scores_whoever_has_a_champion(shop_lake, settings, champion, monkeypatch):
    """Without a server of Prefect's: the flow's own function."""
    monkeypatch.setattr(flows, "get_run_logger", lambda: logging.getLogger("flow"))
    reports = flows.score_all.fn(settings=settings)
    assert [(report.table, report.rows) for report in reports] == [("gold.clv_scores", 60)]


def test_lists_become_words_in_csv_and_stay_lists_in_parquet(settings, tmp_path):
    """As campaign tools read them."""
    lake = Lake(settings)
    lake.overwrite("gold.recommender_scores", pl.DataFrame({"customer_id": [1], "item_ids": [[7, 8]]}))

    for name in ("out.csv", "new/out.parquet"):
        export(lake, "gold.recommender_scores", str(tmp_path / name))

    assert (tmp_path / "out.csv").read_text() == "customer_id,item_ids\n1,7 8\n"
    assert pl.read_parquet(tmp_path / "new/out.parquet")["item_ids"].to_list() == [[7, 8]]


def test_what_is_missing_is_one_line(settings, champion):
    """No champion, no gold, or a file of another kind; before anything is computed."""
    with pytest.raises(ScoringError, match="'pricing' has no champion: run `shopsphere train pricing"):
        score(settings, "pricing")
    with pytest.raises(MissingTableError, match="shopsphere build"):
        score(settings, "clv")
    with pytest.raises(ConfigurationError, match=r"scores\.xlsx' is neither \.csv nor \.parquet"):
        score(settings, "clv", output="scores.xlsx")


def test_the_campaign_is_named_or_chosen():
    """Named, else the live one that began last, else the last to end."""
    rows = [
        {"campaign_id": 1, "start_date": date(2024, 1, 1), "end_date": date(2024, 2, 10), "expected_uplift": 0.1},
        {"campaign_id": 2, "start_date": date(2024, 2, 1), "end_date": date(2024, 2, 5), "expected_uplift": None},
        {"campaign_id": 3, "start_date": "2024-03-01", "end_date": "2024-03-05", "expected_uplift": 0.3},
    ]
    table, early = CampaignTable(rows), datetime(2023, 12, 31)

    assert table.named_or_chosen(None, early) is None
    assert table.named_or_chosen(None, datetime(2024, 2, 3)).campaign_id == "2"
    assert table.named_or_chosen(None, datetime(2024, 2, 20)).campaign_id == "1"
    assert table.named_or_chosen("3", early).campaign_days == 5.0
    with pytest.raises(UnknownCampaignError, match="'9'"):
        table.named_or_chosen("9", early)
