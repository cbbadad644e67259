"""Customer features: one definition, however many moments are asked for."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lakehouse.gold.before import KEY, Keys
from lakehouse.gold.customer_features import as_ofs, customer_features, features_at
from lakehouse.gold.frozen_lake import FrozenLake
from lakehouse.gold.history import history, read_facts


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
    assert_frame_equal(together.sort(KEY), features_at(history, Keys.of(together)).sort(KEY), rel_tol=1e-9)


def test_no_moments_have_no_rows(shop):
    """An empty table has the columns of a full one."""
    history, moments = shop
    assert_frame_equal(customer_features(history, moments).clear(), customer_features(history, []))
