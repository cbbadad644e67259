from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from lakehouse.storage import Lake
from monitoring.log import NotComputableError
from monitoring.propensity import propensity_quality
from monitoring.settings import MonitoringSettings

AS_OF = datetime(2024, 4, 1)
NOW = datetime(2024, 6, 1)


def expose(lake: Lake, responded: list[int | None], *, at: datetime = AS_OF + timedelta(days=3)) -> None:
    """Customers 1, 2, … are exposed to campaign 7 and respond as given."""
    rows = {"customer_id": list(range(1, len(responded) + 1)), "campaign_id": 7, "as_of": at, "responded": responded}
    lake.append("gold.campaign_exposures", pl.DataFrame(rows, schema_overrides={"responded": pl.Int64}))


def ask(log: Any, scores: list[float], **how: Any) -> None:
    """Customers 1, 2, … are scored for campaign 7."""
    values = {"prob_response": scores, "campaign_id": ["7"] * len(scores)}
    log("propensity", range(1, len(scores) + 1), values, **how)


def test_auc_and_delta_by_hand(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """Of 2 x 2 pairs of responder and other, three are in order: AUC 3/4, which is .15 above the .6 at promotion."""
    expose(lake, [1, 0, 1, 0])
    ask(log, [0.9, 0.5, 0.4, 0.1])
    area, delta = propensity_quality(lake, settings, now=NOW)
    assert area.value == 0.75
    assert pytest.approx(delta.value) == 0.15
    assert (area.count, area.model_version) == (4, 1)


def test_a_customer_asked_twice_counts_once(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """Only the newest prediction for a customer and campaign is judged."""
    expose(lake, [1, 0, 1, 0])
    ask(log, [0.1, 0.9, 0.1, 0.9])
    ask(log, [0.9, 0.1, 0.9, 0.1], minutes=5)
    assert [getattr(propensity_quality(lake, settings, now=NOW)[0], name) for name in ("value", "count")] == [1.0, 4]


def test_a_canary_is_not_the_champion(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """However many outcomes its answers have, and although its version is newer."""
    expose(lake, [1, 0, 1, 0])
    ask(log, [0.9, 0.5, 0.4, 0.1])
    ask(log, [0.1, 0.9, 0.1, 0.9], version=2, alias="challenger")
    area, _ = propensity_quality(lake, settings, now=NOW)
    assert (area.value, area.model_version) == (0.75, 1)


def test_unknown_outcomes_do_not_count(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """While windows have not elapsed there is no AUC, and the reason gives the counts."""
    expose(lake, [1, 0, None, None])
    ask(log, [0.9, 0.5, 0.4, 0.1])
    with pytest.raises(NotComputableError, match="2 logged propensity predictions have a known outcome; needed are 4"):
        propensity_quality(lake, settings, now=NOW)


def test_what_the_model_may_have_seen_does_not_count(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """An exposure before the prediction's data time is no outcome of it."""
    expose(lake, [1, 0, 1, 0], at=AS_OF - timedelta(days=1))
    ask(log, [0.9, 0.5, 0.4, 0.1])
    with pytest.raises(NotComputableError, match="0 logged"):
        propensity_quality(lake, settings, now=NOW)
