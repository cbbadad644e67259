"""Customer features: one definition, however many moments are asked for."""

from datetime import datetime
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lakehouse.build import build
from lakehouse.gold.before import KEY, Keys
from lakehouse.gold.customer_features import SPANS, as_ofs, customer_features, features_at
from lakehouse.gold.frozen_lake import FrozenLake
from lakehouse.gold.history import history, read_facts
from lakehouse.ingest import ingest


@pytest.fixture(scope="module")
def shop(tiny_lake):
    """The history of a bucket, and the moments that a build takes of it."""
    frozen = FrozenLake.of(tiny_lake)
    return history(frozen, read_facts(frozen, [0]), [0]), as_ofs(frozen.first, frozen.clock)


def test_moments_together_equal_each_alone(shop):
    """What is added up from moment to moment is what a moment has by itself."""
    history, moments = shop
    together = customer_features(history, moments)
    alone = pl.concat(customer_features(history, [moment]) for moment in moments)
    assert together.height > len(moments) > 1
    assert_frame_equal(alone.sort(KEY), together.sort(KEY), rel_tol=1e-9)


def test_customers_of_shared_moments_equal_pairs(shop):
    """Exposures, each at a moment of its own, have the features that a cutoff at that moment would have."""
    history, moments = shop
    together = customer_features(history, moments)
    assert_frame_equal(together.sort(KEY), features_at(history, Keys(together.select(KEY))).sort(KEY), rel_tol=1e-9)


def test_no_moments_have_no_rows(shop):
    """An empty table has the columns of a full one."""
    history, moments = shop
    assert_frame_equal(customer_features(history, moments).clear(), customer_features(history, []))


SPENT = {
    "2024-01-03 23:59:59": "80.00",
    "2024-01-04 00:00:00": "160.00",
    "2024-04-02 23:59:59": "40.00",
    "2024-06-01 23:59:59": "20.00",
    "2024-06-02 00:00:00": "10.00",
    "2024-07-01 10:00:00": "1.00",
}
"""By when it was: the clock is the 2nd of July, and 30, 90 and 180 days before it are the bounds here."""


@pytest.fixture
def spent(lake, write_shop):
    """A lake of one customer with a line per moment, one moment with two lines, and a refund."""
    lines = [{"timestamp": stamp, "gross_revenue": money, "refund_flag": "0"} for stamp, money in SPENT.items()]
    lines += [{"timestamp": "2024-07-01 10:00:00", "gross_revenue": "2.00"}]
    lines += [{"timestamp": "2024-06-20 10:00:00", "gross_revenue": "-5.00", "refund_flag": "1"}]
    numbered = [line | {"transaction_id": str(number)} for number, line in enumerate(lines, 1)]
    reached = {"timestamp": "2024-06-02 00:00:00", "campaign_id": "3"}
    ingest(lake, str(write_shop(transactions=numbered, events=[reached])))
    build(lake)
    return lake


@pytest.mark.parametrize(
    ("table", "as_of", "spend", "orders"),
    [
        ("gold.customer_features", datetime(2024, 7, 2), ["8.00", "28.00", "228.00"], [2, 3, 5]),
        ("gold.customer_features", datetime(2024, 5, 1), ["40.00", "40.00", "280.00"], [1, 1, 3]),
        ("gold.campaign_exposures", datetime(2024, 6, 2), ["20.00", "60.00", "300.00"], [1, 2, 4]),
    ],
)
def test_windows_begin_with_their_first_moment_and_end_before_the_as_of(spent, table, as_of, spend, orders):
    """Net of refunds, which are no orders; two lines of one moment are one order."""
    row = spent.scan(table).filter(pl.col("as_of") == as_of).collect().row(0, named=True)
    assert [row[f"spend_{days}d"] for days in SPANS] == [Decimal(money) for money in spend]
    assert [row[f"tx_count_{days}d"] for days in SPANS] == orders
