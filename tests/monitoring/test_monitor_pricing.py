import json
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from lakehouse.storage import Lake
from monitoring.log import NotComputableError
from monitoring.pricing import guardrail_violations
from monitoring.settings import MonitoringSettings

AS_OF = datetime(2024, 4, 1)
NOW = datetime(2024, 6, 1)
NAN = float("nan")


def observe(lake: Lake) -> None:
    """Products 1 and 2 were sold for 8 to 12."""
    rows = {"product_id": [1, 2], "as_of": AS_OF, "min_price": 8.0, "max_price": 12.0}
    lake.append("gold.product_features", pl.DataFrame(rows))


def price(
    log: Any,
    product: int,
    suggested: float,
    *,
    low: float = NAN,
    high: float = NAN,
    start: float = 10.0,
    cost: float = NAN,
) -> None:
    """One logged suggestion."""
    values = {"price_suggested": [suggested], "request_min_price": [low], "request_max_price": [high]}
    log("pricing", [product], {**values, "unit_cost": [cost], "avg_price": [start], "binding_guardrails": ["bounds"]})


def test_each_rule_is_counted_once_per_price(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """Of five prices one breaks the bounds and one the observed range; binding guardrails are counted apart."""
    observe(lake)
    price(log, 1, 10.0)
    price(log, 1, 9.0, low=9.5)
    price(log, 2, 12.5)
    price(log, 2, 12.004)
    price(log, 2, 11.0, low=9.0, high=11.0)
    (row,) = guardrail_violations(lake, settings, now=NOW)
    details = json.loads(row.details or "")
    assert (row.value, row.count) == (2.0, 5)
    assert {name: details[name] for name in list(details)[:3]} == {
        "outside_bounds": 1,
        "outside_range": 1,
        "below_cost": 0,
    }
    assert details["binding_guardrails"] == {"bounds": 5}
    assert "no request gave a unit cost" in details["cost"]


def test_a_kept_price_and_forced_bounds_are_no_violation(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """The price charged now may be kept, and a request's bounds outside the observed range are obeyed: a true 0."""
    observe(lake)
    price(log, 1, 20.0, start=20.0)
    price(log, 2, 50.0, low=50.0, high=60.0)
    assert guardrail_violations(lake, settings, now=NOW)[0].value == 0.0


def test_a_price_is_checked_against_the_cost_of_its_request(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """Below it is a violation though it was paid before; at it is none, above the observed range too."""
    observe(lake)
    price(log, 1, 8.5, cost=9.0)
    price(log, 2, 15.0, cost=15.0)
    (row,) = guardrail_violations(lake, settings, now=NOW)
    assert row.value == 1.0
    assert json.loads(row.details or "")["below_cost"] == 1


def test_nothing_to_check_against_is_not_zero(lake: Lake, settings: MonitoringSettings, log: Any) -> None:
    """An unknown product without bounds cannot be judged."""
    observe(lake)
    price(log, 99, 10.0)
    with pytest.raises(NotComputableError, match="none of 1 logged prices"):
        guardrail_violations(lake, settings, now=NOW)
