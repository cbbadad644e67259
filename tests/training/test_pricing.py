"""Price suggestions stay within their bounds, and elasticities come back from data that was made with them."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies

from training import elasticity
from training.price_model import PriceModel

PRICE = strategies.floats(0.05, 1e4)
BOUND = strategies.one_of(strategies.just(np.nan), PRICE)


def model(slope=-3.0, error=0.1):
    """One product, number 5."""
    arrays = {
        "product_ids": np.array([5]),
        "log_units": np.array([1.0]),
        "log_price": np.array([2.0]),
        "elasticity": np.array([slope]),
        "error": np.array([error]),
    }
    return PriceModel("elastic", defaults={"avg_price": 9.0}, params={}, arrays=arrays)


def suggest(priced, *, current=10.0, low=5.0, high=20.0, floor=np.nan, ceiling=np.nan, product=5):
    """The first row of the outputs."""
    inputs = {"avg_price": np.array([current]), "min_price": np.array([low]), "max_price": np.array([high])}
    options = {
        "product_id": np.array([product]),
        "request_min_price": np.array([floor]),
        "request_max_price": np.array([ceiling]),
    }
    return {name: column[0] for name, column in priced.predict(inputs, options).items()}


@given(
    strategies.fixed_dictionaries(
        {
            "current": PRICE,
            **dict.fromkeys(("low", "high", "floor", "ceiling"), BOUND),
            "product": strategies.sampled_from([5, 404]),
        }
    ),
    strategies.floats(-6, 2),
)
def test_a_suggestion_is_a_price_within_the_requests_bounds(asked, slope):
    """Always finite and positive, whatever has been observed."""
    floor, ceiling = asked["floor"], asked["ceiling"]
    if floor > ceiling:
        floor, ceiling = ceiling, floor
    price = suggest(model(slope), **{**asked, "floor": floor, "ceiling": ceiling})["price_suggested"]
    assert np.isfinite(price)
    assert price > 0
    assert not price < floor
    assert not price > ceiling


@pytest.mark.parametrize(
    ("slope", "error", "given", "price", "reason"),
    [
        (-3.0, 0.1, {}, 8.5, "revenue"),
        (-0.2, 0.1, {}, 11.5, "revenue"),
        (-1.1, 0.5, {}, 10.0, "kept"),
        (-3.0, 0.1, {"product": 404}, 10.0, "not_identified"),
        (-3.0, 0.1, {"low": 9.0, "high": 12.0}, 9.0, "revenue"),
        (-3.0, 0.1, {"low": np.nan, "high": np.nan}, 10.0, "kept"),
        (-3.0, 0.1, {"floor": 9.5}, 9.5, "bounds"),
        (-3.0, 0.1, {"current": np.nan}, 7.65, "revenue"),
    ],
)
def test_a_price_moves_only_where_revenue_surely_gains(slope, error, given, price, reason):
    """Down where demand is elastic, up where it is not, kept where that is not certain; guardrails bound it."""
    answer = suggest(model(slope, error), **given)
    assert answer["price_suggested"] == pytest.approx(price)
    assert answer["price_reason"] == reason


def test_elasticities_are_found_again():
    """Forty products around -2 with noise: shrunk estimates are nearer the truth than least squares."""
    random = np.random.default_rng(0)
    truth = random.normal(-2, 0.4, 40)
    weeks = [
        {
            "product_id": product,
            "category": "a",
            "log_price": (price := random.normal(2, 0.15)),
            "log_units": 3 + slope * price + random.normal(0, 0.4),
        }
        for product, slope in enumerate(truth)
        for _ in range(30)
    ]
    found = elasticity.shrink(elasticity.per_product(pl.DataFrame(weeks)))
    raw, shrunk = (np.sqrt(np.mean((found[name].to_numpy() - truth) ** 2)) for name in ("slope", "elasticity"))
    assert shrunk < raw
    assert shrunk < 0.45


def test_a_price_that_never_moved_identifies_nothing():
    """No slope, no elasticity."""
    weeks = pl.DataFrame(
        {"product_id": [1] * 20, "category": ["a"] * 20, "log_price": [1.0] * 20, "log_units": [2.0] * 20}
    )
    assert elasticity.shrink(elasticity.per_product(weeks))["elasticity"].to_list() == [None]
