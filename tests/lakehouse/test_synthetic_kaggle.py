"""The mode kaggle: the marginals of the public data set, all of its nonsense, and nothing to learn."""

import numpy as np
import polars as pl
import pytest

from lakehouse.sources import synthetic


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The raw tables of a tenth of the contract's customers, with all of its products."""
    folder = tmp_path_factory.mktemp("kaggle")
    synthetic.generate(folder, folder / "truth", synthetic.knobs_of("kaggle", customers=10_000))
    return {path.stem: pl.read_csv(path, try_parse_dates=True) for path in folder.glob("*.csv")}


def shares(column: pl.Series) -> dict[str, float]:
    """The share of each value."""
    return dict(column.value_counts(normalize=True).iter_rows())


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("event_type", {"view": 0.522, "click": 0.190, "add_to_cart": 0.142, "bounce": 0.095, "purchase": 0.0516}),
        ("traffic_source", {"organic": 0.399, "paid search": 0.198, "social": 0.149, "email": 0.149, "direct": 0.100}),
        ("experiment_group", {"control": 0.6, "variant_a": 0.2, "variant_b": 0.2}),
    ],
)
def test_events_have_the_contracts_shares(shop, column: str, expected: dict[str, float]) -> None:
    """Within half a percent of all events."""
    assert shares(shop["events"][column].str.to_lowercase()) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("figure", "expected", "tolerance"),
    [
        (lambda shop: shop["events"].height, 200_000, 0.001),
        (lambda shop: shop["events"]["device_type"].is_null().mean(), 0.0201, 0.1),
        (lambda shop: shop["events"]["session_duration_sec"].mean(), 132, 0.03),
        (lambda shop: shop["events"]["session_id"].n_unique(), 63_300, 0.01),
        (lambda shop: shop["transactions"].height, 10_313, 0.04),
        (lambda shop: shop["transactions"]["customer_id"].n_unique(), 6404, 0.03),
        (lambda shop: shop["transactions"]["product_id"].is_null().mean(), 0.1013, 0.1),
        (lambda shop: shop["transactions"]["refund_flag"].mean(), 0.0294, 0.2),
        (lambda shop: shop["transactions"]["quantity"].mean(), 1.38, 0.03),
        (lambda shop: (shop["transactions"]["discount_applied"] == 0).mean(), 0.60, 0.03),
        (lambda shop: (shop["transactions"]["campaign_id"] == 0).mean(), 0.204, 0.1),
        (lambda shop: shop["transactions"]["gross_revenue"].mean(), 90.36, 0.1),
        (lambda shop: shop["products"]["base_price"].mean(), 72.16, 0.05),
        (lambda shop: shop["products"]["is_premium"].sum(), 1000, 0),
        (lambda shop: shop["campaigns"]["expected_uplift"].mean(), 0.0867, 0.12),
    ],
)
def test_figures_are_the_contracts(shop, figure, expected: float, tolerance: float) -> None:
    """A tenth of the contract's rows, and its shares and means."""
    assert figure(shop) == pytest.approx(expected, rel=tolerance)


def test_categories_and_channels_are_counted_out(shop) -> None:
    """Exactly as often as in the real files."""
    assert dict(shop["products"]["category"].value_counts().iter_rows()) == {
        "Electronics": 455, "Fashion": 418, "Home": 396, "Grocery": 312, "Sports": 218, "Beauty": 201,
    }  # fmt: skip
    assert sorted(shop["campaigns"]["channel"].value_counts()["count"]) == [8, 9, 11, 11, 11]


def test_the_nonsense_is_there(shop) -> None:
    """Half happens before signup and launch, and nearly all outside of its campaign; sessions span customers."""
    events = (
        shop["events"].join(shop["customers"], on="customer_id").join(shop["campaigns"], on="campaign_id", how="left")
    )
    day = events["timestamp"].dt.date()
    assert 0.47 < (day < events["signup_date"]).mean() < 0.53
    outside = (day < events["start_date"]) | (day > events["end_date"])
    assert 0.93 < outside.drop_nulls().mean() < 0.97
    people = events.group_by("session_id").agg(pl.col("customer_id").n_unique())["customer_id"]
    assert (people > 1).mean() > 0.8
    sales = shop["transactions"].join(shop["products"], on="product_id")
    assert 0.45 < (sales["timestamp"].dt.date() < sales["launch_date"]).mean() < 0.55


@pytest.mark.parametrize("key", ["customer_id", "product_id"])
def test_sales_are_draws_of_a_poisson_distribution(shop, key: str) -> None:
    """No customer and no product sells more than chance: the variance of counts is their mean."""
    everyone = shop[f"{key.removesuffix('_id')}s"].select(key)
    counts = everyone.join(shop["transactions"][key].drop_nulls().value_counts(), on=key, how="left")[
        "count"
    ].fill_null(0)
    assert counts.var() / counts.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / everyone.height))


def test_carts_are_bought_by_source(shop) -> None:
    """The real effect of the public data: email and paid search sell, organic and direct do not."""
    counts = (
        shop["events"]
        .group_by(source=pl.col("traffic_source").str.to_lowercase())
        .agg(ratio=(pl.col("event_type") == "purchase").sum() / (pl.col("event_type") == "add_to_cart").sum())
    )
    expected = {"email": 0.651, "paid search": 0.617, "social": 0.52, "organic": 0.142, "direct": 0.143}
    assert dict(counts.iter_rows()) == pytest.approx(expected, rel=0.12)
