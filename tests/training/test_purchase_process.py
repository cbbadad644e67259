"""The purchase process: its closed form against simulation, and fits of customers whose process is known."""

import numpy as np
import pytest
from scipy.special import hyp2f1

from training.purchase_fit import fit_process
from training.purchase_process import chance_active, expected_order_value, expected_orders, expected_spend

TRUE = {"r": 0.8, "alpha": 20.0, "a": 0.7, "b": 3.0, "p": 4.0, "q": 5.0, "gamma": 40.0}


def customers(count=20_000, *, age=300.0, days=180.0, seed=0):
    """CLV inputs after `age` days, and the orders of the `days` after them, drawn from the process itself."""
    random = np.random.default_rng(seed)
    rate = random.gamma(TRUE["r"], 1 / TRUE["alpha"], count)
    leaves = random.beta(TRUE["a"], TRUE["b"], count)
    times = np.cumsum(random.exponential(1 / rate[:, None], (count, 400)), axis=1)
    stays = np.cumprod(random.random((count, 400)) >= leaves[:, None], axis=1)
    ordered = np.hstack([np.ones((count, 1)), stays[:, :-1]]) > 0
    before, after = ordered & (times <= age), ordered & (times > age) & (times <= age + days)
    last = np.where(before, times, 0.0).max(axis=1)
    value = 1 / random.gamma(TRUE["q"], 1 / TRUE["gamma"], count)
    orders = before.sum(axis=1) + 1.0
    mean = random.gamma(TRUE["p"] * orders, value / orders)
    known = {"tx_count": orders, "recency_days": age - last, "tenure_days": np.full(count, age)}
    return {**known, "monetary": orders * mean}, after.sum(axis=1)


@pytest.fixture(scope="module")
def shop():
    """Customers and what they ordered next."""
    return customers()


def test_expected_orders_are_what_such_customers_order(shop):
    """By number of repeat orders, within the noise of 20,000 customers."""
    inputs, following = shop
    repeats, last = inputs["tx_count"] - 1, inputs["tenure_days"] - inputs["recency_days"]
    expected = expected_orders(TRUE, repeats, np.where(repeats > 0, last, 0.0), inputs["tenure_days"], days=180.0)

    for low, high in ((0, 0), (1, 3), (4, 400)):
        rows = (repeats >= low) & (repeats <= high)
        noise = following[rows].std() / np.sqrt(rows.sum())
        assert expected[rows].mean() == pytest.approx(following[rows].mean(), abs=4 * noise)


def test_the_fit_finds_the_process(shop):
    """What it expects is what the true process expects, customer by customer."""
    inputs, _ = shop
    found, true = (expected_spend(process, inputs, days=180.0) for process in (fit_process(inputs), TRUE))

    assert np.corrcoef(found, true)[0, 1] > 0.99
    assert found.sum() == pytest.approx(true.sum(), rel=0.05)


@pytest.mark.parametrize(
    "inputs",
    [
        {name: np.zeros(0) for name in ("tx_count", "recency_days", "tenure_days", "monetary")},
        {name: np.ones(3) for name in ("tx_count", "recency_days", "tenure_days", "monetary")},
        {
            "tx_count": np.random.default_rng(0).poisson(1.0, 5000) + 0.0,
            "recency_days": np.random.default_rng(1).uniform(0, 500, 5000),
            "tenure_days": np.full(5000, 500.0),
            "monetary": np.full(5000, 90.0),
        },
    ],
    ids=["nobody", "three alike", "no two differ but by chance"],
)
def test_degenerate_data_give_a_finite_process(inputs):
    """No NaN, nothing infinite, and finite expectations for anybody."""
    process = fit_process(inputs)
    anybody = {name: np.array([0.0, 1.0, 5.0, 1e4]) for name in ("tx_count", "recency_days", "tenure_days", "monetary")}

    assert all(np.isfinite(value) for value in process.values())
    assert np.isfinite(expected_spend(process, anybody, days=180.0)).all()


def test_expectations_move_the_right_way():
    """A longer silence lowers the chance to be active; more spend raises the order value, less so after few orders."""
    orders, age = np.full(3, 10.0), np.full(3, 300.0)

    assert (np.diff(chance_active(TRUE, orders, np.array([50.0, 150.0, 299.0]), age)) > 0).all()
    few, many = (expected_order_value(TRUE, np.array([n]), np.array([100.0]))[0] for n in (1.0, 50.0))
    assert few < many < 100.0


@pytest.mark.parametrize("age", [0.0, 3.0, 30.0, 300.0])
def test_young_buyers_who_soon_leave_are_expected_as_scipy_says(age):
    """There the series is long: the paper's own form with SciPy's function is the reference."""
    process = {"r": 0.147, "alpha": 0.73, "a": 6.36, "b": 5.41}
    r, alpha, a, b = process.values()
    repeats, days = np.array([0.0, 1.0, 3.0]), 180.0
    last = np.where(repeats > 0, age * 0.9, 0.0)
    series = hyp2f1(r + repeats, b + repeats, a + b + repeats - 1, days / (alpha + age + days))
    grown = 1 - ((alpha + age) / (alpha + age + days)) ** (r + repeats) * series
    active = chance_active(process, repeats, last, np.full(3, age))
    reference = (a + b + repeats - 1) / (a - 1) * grown * active

    found = expected_orders(process, repeats, last, np.full(3, age), days=days)
    assert found == pytest.approx(reference, rel=1e-6)


@pytest.mark.parametrize("a", [0.5, 1.0, 1.0 + 1e-7, 3.0])
def test_the_closed_form_holds_where_it_would_divide_by_zero(a):
    """The answer is continuous in `a`."""
    rows = (np.array([0.0, 3.0, 300.0]), np.array([0.0, 200.0, 299.0]), np.full(3, 300.0))
    here, beside = (expected_orders({**TRUE, "a": value}, *rows, days=180.0) for value in (a, a + 1e-4))

    assert here == pytest.approx(beside, rel=1e-3)
