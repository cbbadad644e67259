"""Price suggestions stay within their bounds, and elasticities come back from data that was made with them."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies

from training import bootstrap, elasticity, price_panel, price_regressions
from training.price_errors import price_errors
from training.price_figure import elasticity_figure
from training.price_model import PriceModel
from training.use_cases.pricing import PRICING

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


def suggest(priced, *, current=10.0, low=5.0, high=20.0, floor=np.nan, ceiling=np.nan, cost=np.nan, product=5):
    """The first row of the outputs."""
    inputs = {"avg_price": np.array([current]), "min_price": np.array([low]), "max_price": np.array([high])}
    options = {
        "product_id": np.array([product]),
        "request_min_price": np.array([floor]),
        "request_max_price": np.array([ceiling]),
        "unit_cost": np.array([cost]),
    }
    return {name: column[0] for name, column in priced.predict(inputs, options).items()}


@given(
    strategies.fixed_dictionaries(
        {
            "current": PRICE,
            **dict.fromkeys(("low", "high", "floor", "ceiling", "cost"), BOUND),
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


def test_with_a_cost_the_price_goes_to_the_most_margin():
    """At cost 6 and elasticity -3 that is 9; at cost 8 it is 12, too far to trust; never below the cost."""
    prices = {cost: suggest(model(), cost=cost) for cost in (6.0, 8.0, 12.0)}
    assert [found["price_suggested"] for found in prices.values()] == pytest.approx([9.0, 11.5, 12.0])
    assert [found["price_reason"] for found in prices.values()] == ["margin", "margin", "cost"]
    assert [found["binding_guardrails"] for found in prices.values()] == ["", "trust_region", "trust_region,unit_cost"]
    assert [found["unbounded_price"] for found in prices.values()] == pytest.approx([9.0, 12.0, 18.0])


def test_the_curve_is_demand_over_the_allowed_prices():
    """From 15 % below to the request's bound; revenue falls with the price where demand is elastic."""
    inputs = {name: np.array([value]) for name, value in {"avg_price": 10.0, "units": 40.0}.items()}
    inputs |= {"min_price": np.array([5.0]), "max_price": np.array([20.0])}
    options = {"product_id": np.array([5]), "request_max_price": np.array([10.0]), "unit_cost": np.array([6.0])}
    curve = model().curve(inputs, options)
    assert (curve[0]["price"], curve[-1]["price"]) == (8.5, 10.0)
    assert curve[-1] == {"price": 10.0, "units": 40.0, "revenue": 400.0, "margin": 160.0}
    assert [point["revenue"] for point in curve] == sorted((point["revenue"] for point in curve), reverse=True)
    assert model().curve(inputs, {**options, "product_id": np.array([404])}) == []


def panel(products=60, weeks=100, *, follows=0.0, level=0.0, seed=0):
    """Weeks with a sale of products whose elasticities are known; discounts answer to demand by `follows`.

    Demand shocks last: each keeps 0.6 of last week's.
    """
    random = np.random.default_rng(seed)
    truth = random.normal(-2, 0.4, products)
    shock = np.zeros((products, weeks))
    for week in range(1, weeks):
        shock[:, week] = 0.6 * shock[:, week - 1] + random.normal(0, 0.28, products)
    log_price = random.normal(0, 0.15, shock.shape) + follows * shock
    orders = random.poisson(np.exp(level + truth[:, None] * log_price + shock))
    number, week = np.nonzero(orders)
    sold = pl.DataFrame(
        {
            "product_id": number,
            "week": pl.Series(week * 7).cast(pl.Int32).cast(pl.Date),
            "units": orders[number, week],
            "orders": orders[number, week],
            "category": ["a"] * len(number),
            "log_price": log_price[number, week],
            "traffic": np.zeros(len(number)),
        }
    )
    return sold.with_columns(log_units=pl.col("units").log()), truth


def off(found, truth):
    """Mean and root mean square of what is wrong with elasticities."""
    wrong = found - truth
    return wrong.mean(), np.sqrt(np.mean(wrong**2))


def test_elasticities_of_slow_sellers_are_found_again():
    """A sale a week: plain regression of weeks with a sale sees a third of the truth, and intervals cover it."""
    sold, truth = panel()
    arrays, _ = elasticity.fit(sold)
    bias, error = off(arrays["elasticity"], truth)
    plain, _ = off(price_regressions.fit(sold).slopes[:, 0], truth)
    assert abs(bias) < 0.15
    assert error < 0.45
    assert plain > 1.0
    covered = np.abs(arrays["elasticity"] - truth) < 1.645 * arrays["error"]
    assert 0.8 <= covered.mean() <= 1.0


def test_discounts_in_weak_weeks_are_seen_through():
    """Where prices follow demand, elasticities are corrected; where they do not, hardly."""
    told, untold = (elasticity.fit(panel(200, follows=follows, level=1.0)[0]) for follows in (0.25, 0.0))
    _, truth = panel(200)
    assert told[1]["price_follows_demand"] > 0.3
    assert untold[1]["price_follows_demand"] < 0.15
    corrected, _ = off(told[0]["elasticity"], truth)
    assert abs(corrected) < 0.25 < corrected + told[1]["price_follows_demand"]


def test_promotion_is_not_taken_for_price():
    """Displays that come with discounts and triple sales: with them as a control the elasticity is what it was."""
    sold, truth = panel(level=1.0)
    shown = (sold["log_price"] < -0.1).cast(pl.Float64)
    tripled = sold.with_columns(
        display=shown, orders=pl.col("orders") * (1 + 2 * shown).cast(pl.Int64), units=pl.col("units") * (1 + 2 * shown)
    ).with_columns(log_units=pl.col("units").log())
    controlled, _ = off(elasticity.fit(tripled)[0]["elasticity"], truth)
    without, _ = off(elasticity.fit(tripled.drop("display"))[0]["elasticity"], truth)
    assert abs(controlled) < 0.5
    assert without < -2


def test_a_price_that_never_moved_identifies_nothing():
    """No elasticity for that product, whatever the others' are."""
    sold, _ = panel(8)
    stuck = sold.with_columns(log_price=pl.when(pl.col("product_id") == 3).then(0.5).otherwise("log_price"))
    found = elasticity.fit(stuck)[0]["elasticity"]
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]


def test_weeks_begin_when_prices_change():
    """On Thursdays here; on Monday where prices never change."""
    days = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(280)]
    price = [10.0 + ((day - 3) // 7) % 3 for day in range(280)]
    sales = pl.LazyFrame({"product_id": 1, "timestamp": days, "quantity": 1, "gross_revenue": price})
    assert price_panel.first_day(sales) == 3
    assert price_panel.first_day(sales.with_columns(gross_revenue=10.0)) == 0


def test_traffic_of_a_tiny_shop_is_chance():
    """Totals that vary as Poisson counts do say nothing; a Christmas does."""
    weeks = pl.DataFrame({"week": range(50), "other_orders": np.random.default_rng(0).poisson(4, 50)})
    assert price_panel.with_traffic(weeks, weeks)["traffic"].abs().max() < 0.5
    busy = weeks.with_columns(other_orders=pl.when(pl.col("week") > 25).then(900).otherwise(300))
    assert price_panel.with_traffic(busy, busy)["traffic"].max() == pytest.approx(np.log(3) / 2, rel=0.05)


def test_a_products_weeks_are_drawn_together():
    """Errors of 0 and of 1 in products of three weeks and of one."""
    rows = pl.DataFrame({"product_id": [5, 5, 5, 7], "units": [1, 1, 1, 1], "log_units": [0.0] * 4})
    errors = price_errors(np.array([0.0, 0.0, 0.0, 1.0]), rows)
    assert errors.metrics() == pytest.approx({"rmse_log_units": 0.5, "wape": (np.e - 1) / 4})
    assert errors.rmse(np.array([0, 0])) == 0
    assert errors.rmse(np.array([0, 1, 1])) == pytest.approx(np.sqrt(2 / 5))


def test_where_no_price_moved_the_figure_is_empty():
    """And not a warning about the mean of nothing."""
    axes = elasticity_figure(np.array([]), promotions=False).axes[0]
    assert axes.get_title() == "Elasticities of 0 products (promotions are not told of)"


def test_shuffled_prices_teach_nothing(tiny_lake):
    """Each product keeps its prices and its sales, but not together: the gate refuses."""
    data = PRICING.dataset(tiny_lake)
    mixed = PRICING.shuffled(data, 0)
    for name in ("log_price", "units"):
        assert mixed.train.sort("product_id", name)[name].equals(data.train.sort("product_id", name)[name])
    assert not mixed.train["log_price"].equals(data.train["log_price"])
    model, baseline = PRICING.fit(mixed), PRICING.fit_baseline(mixed)
    metrics = PRICING.evaluate(model, mixed) | bootstrap.summary(PRICING.gains(model, baseline, mixed))
    assert not PRICING.gate(metrics, PRICING.evaluate(baseline, mixed)).promote
