"""Promotions in the price panel: which week they count in, what an absent one means, and what they take off prices."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from lakehouse.query_examples import run_example
from lakehouse.storage import Lake
from training import artifact, elasticity
from training.use_cases.pricing import PRICING, PROMOTIONS

MONDAY = datetime(2024, 1, 1)
WEEK = timedelta(days=7)
TRUTH = -2.0


def sales(products, weeks):
    """One sale per product and week, on its Wednesday; products' orders and prices are broadcast to the panel."""
    number, week = (grid.ravel() for grid in np.meshgrid(np.arange(products), np.arange(weeks), indexing="ij"))
    return pl.DataFrame({"product_id": number, "week": week}).with_columns(
        timestamp=pl.lit(MONDAY) + pl.col("week") * WEEK + timedelta(days=2)
    )


def promotion(product, start, display=None, mailer=None):
    """A row of silver's promotions."""
    return {"product_id": product, "week_start": start, "display": display, "mailer": mailer}


@pytest.fixture
def lake(settings):
    """A shop of two products that were sold in every one of 30 weeks, which begin on Monday, one unit for 2 each."""
    lake = Lake(settings)
    sold = sales(2, 30)
    lake.overwrite(
        "silver.transactions",
        sold.select(
            "product_id",
            "timestamp",
            customer_id=pl.lit(7),
            quantity=pl.lit(1),
            gross_revenue=pl.lit("2.00").cast(pl.Decimal(18, 2)),
            refund_flag=pl.lit(0),
        ),
    )
    lake.overwrite("silver.products", pl.DataFrame({"product_id": [0, 1], "category": ["a", "a"]}))
    names = (feature.name for feature in PRICING.features)
    gold = {"product_id": [0, 1], "as_of": [MONDAY, MONDAY], **{name: [1.0, 1.0] for name in names}}
    lake.overwrite("gold.product_features", pl.DataFrame(gold))
    return lake


def with_promotions(lake, *rows):
    """The lake with these promotions and no others."""
    lake.overwrite(PROMOTIONS, pl.DataFrame(rows, orient="row"))
    return lake


def told(lake, product, first_day=0):
    """Week, display and mailer of a product's first four weeks."""
    rows = run_example(lake, "training_pricing", first_day=first_day).filter(pl.col("product_id") == product)
    return rows.select(pl.col("week").dt.date(), "display", "mailer").head(4).rows()


def test_no_row_is_no_promotion_within_the_weeks_that_are_told_of(lake):
    """Outside them nothing is known; an empty field is none either."""
    with_promotions(lake, promotion(0, date(2024, 1, 8), 0.5, 0.25), promotion(1, date(2024, 1, 15), None, 1.0))
    weeks = [date(2024, 1, day) for day in (1, 8, 15, 22)]
    rest = (None, None)
    assert told(lake, 0) == list(zip(weeks, *zip(rest, (0.5, 0.25), (0.0, 0.0), rest, strict=True), strict=True))
    assert told(lake, 1) == list(zip(weeks, *zip(rest, (0.0, 0.0), (0.0, 1.0), rest, strict=True), strict=True))


@pytest.mark.parametrize(
    ("start", "first_day", "week"),
    [
        (date(2024, 1, 8), 0, date(2024, 1, 8)),
        (date(2024, 1, 11), 0, date(2024, 1, 8)),
        (date(2024, 1, 5), 0, date(2024, 1, 8)),
        (date(2024, 1, 10), 2, date(2024, 1, 10)),
        (date(2024, 1, 8), 2, date(2024, 1, 10)),
        (date(2024, 1, 8), 6, date(2024, 1, 7)),
    ],
)
def test_a_promotion_counts_in_the_week_that_has_most_of_its_days(lake, start, first_day, week):
    """Whatever weekday the retailer's weeks and those of the panel begin on."""
    with_promotions(lake, promotion(0, start, 0.5, 0.0))
    assert [week] == [row[0] for row in told(lake, 0, first_day) if row[1] == 0.5]


def test_of_two_rows_of_a_week_the_larger_shares_count(lake):
    """And no week of the panel is doubled."""
    with_promotions(lake, promotion(0, date(2024, 1, 1), 0.5, 0.1), promotion(0, date(2024, 1, 2), 0.2, 0.3))
    assert (date(2024, 1, 1), 0.5, 0.3) == told(lake, 0)[0]
    assert run_example(lake, "training_pricing", first_day=0).height == 60


def test_a_shop_without_promotions_has_no_controls(lake):
    """The columns are absent, and the model fits as ever."""
    data = PRICING.dataset(lake)
    assert PROMOTIONS not in data.data_versions
    assert not set(elasticity.CONTROLS) & set(data.train.columns)
    assert PRICING.fit(data).params["controls"] == "none"


def test_the_version_of_the_promotions_is_pinned(lake):
    """An earlier one gives the earlier shares; versions from before there were any give none."""
    before = PRICING.dataset(lake).data_versions
    every_week = [promotion(0, date(2024, 1, 1) + week * WEEK, 0.5, 0.0) for week in range(30)]
    pinned = PRICING.dataset(with_promotions(lake, *every_week)).data_versions
    with_promotions(lake, *(row | {"display": 0.75} for row in every_week))
    assert pinned[PROMOTIONS] == 0
    shares = [PRICING.dataset(lake, versions=versions).train["display"].max() for versions in (pinned, None)]
    assert shares == [0.5, 0.75]
    assert "display" not in PRICING.dataset(lake, versions=before).train.columns


def test_promotions_of_the_test_weeks_change_no_training_row(lake):
    """Of the whole shop or of the earlier weeks alone, training sees the same."""
    rows = [promotion(0, date(2024, 1, 1) + week * WEEK, week % 3 / 2, 0.0) for week in range(30)]
    whole = PRICING.dataset(with_promotions(lake, *rows))
    known = PRICING.dataset(with_promotions(lake, *(row for row in rows if row["week_start"] < whole.as_of.date())))
    assert whole.train.equals(known.train)
    assert whole.train["display"].n_unique() == 3
    assert known.test["display"].null_count() == known.test.height


@pytest.mark.parametrize(("first", "controls", "weeks"), [(0, True, 22), (10, True, 12), (12, False, 22)])
def test_training_keeps_to_the_weeks_that_are_told_of_where_they_are_most(lake, first, controls, weeks):
    """Of 22 weeks; else it takes all of them and does without promotions."""
    rows = [promotion(0, date(2024, 1, 1) + week * WEEK, week % 2, 0.0) for week in range(first, 30)]
    train = PRICING.dataset(with_promotions(lake, *rows)).train
    assert controls == ("display" in train.columns)
    assert weeks == train["week"].n_unique()


def confounded(products=80, weeks=100, seed=0):
    """A panel of products with one elasticity, where displays come with price cuts and double what is sold.

    A display covers a third to all of the shop, in two of three weeks with a price cut and in some others.
    """
    random = np.random.default_rng(seed)
    cut = random.random((products, weeks)) < 0.3
    log_price = np.where(cut, -0.25, 0.0) + random.normal(0, 0.05, cut.shape)
    display = np.where(random.random(cut.shape) < np.where(cut, 0.67, 0.05), random.uniform(0.33, 1, cut.shape), 0.0)
    orders = random.poisson(np.exp(1.5 + TRUTH * log_price + np.log(2) * display))
    number, week = np.nonzero(orders)
    return pl.DataFrame(
        {
            "product_id": number,
            "week": pl.Series(week * 7).cast(pl.Int32).cast(pl.Date),
            "units": orders[number, week],
            "orders": orders[number, week],
            "category": ["a"] * len(number),
            "log_price": log_price[number, week],
            "display": display[number, week],
            "mailer": np.zeros(len(number)),
            "traffic": np.zeros(len(number)),
        }
    ).with_columns(log_units=pl.col("units").log())


def test_promotion_that_comes_with_price_cuts_is_told_from_them():
    """Without it customers seem too sensitive to price by half an elasticity and more; with it they are as they are."""
    panel = confounded()
    arrays, facts = elasticity.fit(panel)
    assert arrays["controls"].tolist() == ["display"]
    assert arrays["elasticity"].mean() == pytest.approx(TRUTH, abs=0.15)
    assert facts["effect_of_display"] == pytest.approx(np.log(2), abs=0.1)
    assert elasticity.fit(panel.drop("display", "mailer"))[0]["elasticity"].mean() < TRUTH - 0.5


def test_a_stored_model_expects_what_the_fitted_one_did(lake, tmp_path):
    """With promotion, without any, and where it is not known: that is as the product usually is promoted."""
    data = PRICING.dataset(
        with_promotions(lake, *(promotion(0, date(2024, 1, 1) + w * WEEK, w % 2, 0.0) for w in range(30)))
    )
    model = PRICING.fit(data)
    model.save(tmp_path)
    stored = PRICING.load(tmp_path)
    rows = {"product_id": np.zeros(3, int), "log_price": np.log(2 * np.ones(3)), "traffic": np.zeros(3)}
    shares = [1.0, np.nan, data.train.filter(product_id=0)["display"].mean()]
    found = model.log_units(rows | {"display": np.array(shares)})
    assert found.tolist() == stored.log_units(rows | {"display": np.array(shares)}).tolist()
    assert found[1] == found[2] == model.log_units(rows)[0]
    assert artifact.read(tmp_path).params["controls"] == "display"
