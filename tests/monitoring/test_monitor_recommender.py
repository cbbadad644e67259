from datetime import datetime
from typing import Any

import polars as pl
import pytest

from lakehouse.gold.interactions import SCHEMA
from lakehouse.storage import Lake
from monitoring.log import NotComputableError
from monitoring.recommender import recommender_reach, served
from monitoring.settings import MonitoringSettings

AS_OF = datetime(2024, 4, 1)
NOW = datetime(2024, 6, 1)


def sell(lake: Lake) -> None:
    """Product 1 has half of all purchases before the answers, 2 a quarter, 3 and 4 an eighth each."""
    days = [datetime(2024, 3, 31, 9)] * 4 + [AS_OF]
    rows = {"customer_id": 1, "product_id": [1, 2, 3, 4, 4], "last_at": days, "purchase_count": [4, 2, 1, 1, 9]}
    day, none = pl.col("last_at").dt.date(), dict.fromkeys(("units", "view_count", "add_to_cart_count"), 0)
    frame = pl.DataFrame(rows | none).with_columns(day=day, month=day.dt.month_start(), bucket=0)
    lake.append("gold.interactions", frame.select(SCHEMA.names()).cast(dict(SCHEMA)))


def test_coverage_and_novelty_by_hand(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """Products 1, 1, 2 and 3 of a catalogue of 4: coverage 3/4, novelty the mean of 1, 1, 2 and 3 bits."""
    sell(lake)
    log("recommender", [10, 11], {"item_ids": [[1, 2], [1, 3]]})
    coverage, novelty = recommender_reach(lake, settings, now=NOW)
    assert coverage.value == 0.75
    assert pytest.approx(novelty.value) == 1.75


def test_a_product_never_bought_has_no_novelty(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """It is left out of the mean; where nothing remains novelty is absent and coverage is not."""
    sell(lake)
    log("recommender", [10], {"item_ids": [[99]]})
    coverage, novelty = recommender_reach(lake, settings, now=NOW)
    assert coverage.value == 0.25
    assert (novelty.value, novelty.reason) == (None, "none of the served products was ever bought")


def test_empty_lists_are_no_coverage_of_zero() -> None:
    """Answers without a product give a reason, not 0."""
    rows = pl.DataFrame({"item_ids": [[], []]}, schema={"item_ids": pl.List(pl.Int64)})
    with pytest.raises(NotComputableError, match="hold no product"):
        served(rows)
