"""The queries that come with the shop: each runs, and each gives a figure that silver confirms."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from lakehouse.build import data_clock
from lakehouse.errors import ConfigurationError
from lakehouse.query_examples import example, examples
from lakehouse.query_script import run_script
from lakehouse.query_session import Session

NAMES = [one.name for one in examples()]
DAY = timedelta(days=1)
CUSTOMER, PRODUCT = "customer_id", "product_id"


@pytest.fixture(scope="module")
def answer(tiny_lake):
    """Answer an example, with parameters as on the command line."""

    def run(name, *parameters):
        with Session(tiny_lake) as session:
            (rows,) = run_script(session, example(name).text, parameters)
        return rows

    return run


@pytest.fixture(scope="module")
def clock(tiny_lake):
    """The data's clock."""
    return data_clock(tiny_lake)


@pytest.fixture(scope="module")
def lines(tiny_lake):
    """All lines of receipts, refunds too."""
    return tiny_lake.scan("silver.transactions").collect()


@pytest.fixture(scope="module")
def sales(lines):
    """Those that are no refunds."""
    return lines.filter(pl.col("refund_flag") == 0)


@pytest.fixture(scope="module")
def orders(sales):
    """One row per order."""
    return sales.select(CUSTOMER, "timestamp").unique().sort("timestamp")


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_a_question_with_an_answer(answer, name):
    """With the defaults of its parameters; the list of examples shows the question."""
    assert example(name).question.endswith("?")
    assert answer(name).height > 0


def test_an_unknown_example_names_the_list():
    """Of which there are a dozen and more."""
    assert len([name for name in NAMES if not name.startswith("training_")]) >= 12
    with pytest.raises(ConfigurationError, match="--examples"):
        example("nothing")


def test_top_customers_spent_most(answer, lines, clock):
    """Net of refunds, in the last 180 days."""
    recent = lines.filter(pl.col("timestamp") >= clock - 180 * DAY)
    spent = recent.group_by(CUSTOMER).agg(pl.col("gross_revenue").sum()).sort("gross_revenue", descending=True)

    rows = answer("top_customers", "limit=3")
    assert rows["spend_180d"].to_list() == spent["gross_revenue"].head(3).to_list()
    assert rows[CUSTOMER].to_list() == spent[CUSTOMER].head(3).to_list()


def test_lapsing_customers_are_silent_beyond_their_gap(answer, orders, clock):
    """Their orders confirm the gap and the silence."""
    rows = answer("lapsing_customers", "times=4").row(0, named=True)
    moments = orders.filter(pl.col(CUSTOMER) == rows[CUSTOMER])["timestamp"]

    gap = (moments[-1] - moments[0]) / DAY / (len(moments) - 1)
    assert rows["usual_gap_days"] == pytest.approx(gap, abs=0.05)
    assert rows["days_since_order"] == pytest.approx((clock - moments[-1]) / DAY, abs=0.5)
    assert (clock - moments[-1]) / DAY > 4 * gap


def test_campaign_response_counts_every_known_exposure_once(answer, tiny_lake):
    """Rates are responses per exposure."""
    known = tiny_lake.scan("gold.campaign_exposures").filter(pl.col("responded").is_not_null()).collect()
    rows = answer("campaign_response")

    assert rows["exposures"].sum() == known.height
    assert rows["responses"].sum() == known["responded"].sum()
    assert rows.item(0, "response_rate") == round(rows.item(0, "responses") / rows.item(0, "exposures"), 4)


def test_price_ranges_cover_the_categories_revenue(answer, sales, tiny_lake, clock):
    """Of the last 28 days."""
    recent = sales.filter(pl.col("timestamp") >= clock - 28 * DAY, pl.col("gross_revenue").is_not_null())
    recent = recent.join(tiny_lake.scan("silver.products").collect(), on=PRODUCT)
    expected = dict(recent.group_by("category").agg(pl.col("gross_revenue").sum()).iter_rows())

    rows = answer("price_range_by_category").filter(pl.col("revenue_28d") > 0)
    assert dict(rows.select("category", "revenue_28d").iter_rows()) == expected
    assert (rows["cheapest"] <= rows["median_price"]).all()


def test_repeat_purchase_counts_orders_per_customer(answer, orders):
    """The second row holds those with two orders and more."""
    counts = orders.group_by(CUSTOMER).len()["len"]
    rows = answer("repeat_purchase")

    assert rows["customers"].to_list() == [(counts >= least).sum() for least in range(1, 11)]
    assert rows.item(0, "came_again") == rows.item(1, "share_of_buyers")


def test_cohort_retention_is_who_still_buys(answer, orders):
    """Of those who first bought in March 2022, the share that ordered in the 30 days before July 2022 began."""
    firsts = orders.group_by(CUSTOMER).agg(pl.col("timestamp").min())
    started = pl.col("timestamp").is_between(datetime(2022, 3, 1), datetime(2022, 4, 1), closed="left")
    cohort = orders.join(firsts.filter(started).select(CUSTOMER), on=CUSTOMER)
    end = datetime(2022, 7, 1)
    active = cohort.filter(pl.col("timestamp").is_between(end - 30 * DAY, end, closed="left"))

    row = answer("cohort_retention").row(by_predicate=pl.col("cohort") == datetime(2022, 3, 1).date(), named=True)
    size = cohort[CUSTOMER].n_unique()
    assert (row["customers"], row["after_3_months"]) == (size, round(active[CUSTOMER].n_unique() / size, 3))


def test_best_sellers_are_compared_with_the_weeks_before(answer, sales, clock):
    """Both figures of the first product."""
    row = answer("best_sellers", "limit=1").row(0, named=True)
    mine = sales.filter(pl.col(PRODUCT) == row[PRODUCT])
    recent = mine.filter(pl.col("timestamp") >= clock - 28 * DAY)["gross_revenue"].sum()
    both = mine.filter(pl.col("timestamp") >= clock - 56 * DAY)["gross_revenue"].sum()

    assert (row["revenue_28d"], row["revenue_before"]) == (recent, both - recent)
    assert row["change"] == pytest.approx(float(recent) / float(both - recent) - 1, abs=5e-4)


def test_slow_movers_had_no_sale(answer, sales, clock):
    """For at least the days asked for, and none that had none is missing."""
    last = sales.filter(pl.col("gross_revenue").is_not_null()).group_by(PRODUCT).agg(pl.col("timestamp").max())
    silent = last.filter(pl.col("timestamp") < clock - 100 * DAY)

    assert set(answer("slow_movers", "days=100")[PRODUCT]) == set(silent[PRODUCT])


@pytest.mark.parametrize(
    ("name", "column", "attribute"),
    [
        ("customers_by_acquisition", "acquisition_channel", "acquisition_channel"),
        ("loyalty_levels", "loyalty_tier", "loyalty_tier"),
    ],
)
def test_customers_are_counted_by_what_is_known_of_them(answer, tiny_lake, name, column, attribute):
    """Every registered customer once."""
    expected = tiny_lake.scan("silver.customers").group_by(attribute).len().collect()

    assert dict(answer(name).select(column, "customers").iter_rows()) == dict(expected.iter_rows())


def test_products_bought_together_share_the_days_of_customers(answer, sales):
    """The pair's own days give the same count and lift."""
    row = answer("bought_together", "days=1").row(0, named=True)
    bought = sales.filter(pl.col(PRODUCT).is_not_null()).select(CUSTOMER, PRODUCT, day=pl.col("timestamp").dt.date())
    days = [set(bought.filter(pl.col(PRODUCT) == row[key]).rows()) for key in (PRODUCT, "other_product_id")]
    one, other = ({(customer, day) for customer, _, day in rows} for rows in days)

    assert row["days_together"] == len(one & other)
    expected = len(one & other) * bought.n_unique([CUSTOMER, "day"]) / (len(one) * len(other))
    assert row["lift"] == round(expected, 2)


def test_the_best_tenth_has_its_share_of_spend(answer, lines, orders):
    """And the tenths add up to all."""
    buyers = lines.join(orders.select(CUSTOMER).unique(), on=CUSTOMER).group_by(CUSTOMER)
    spent = buyers.agg(pl.col("gross_revenue").sum())["gross_revenue"].sort(descending=True)
    rows = answer("spend_by_decile")

    assert rows.item(0, "spend") == spent.head(rows.item(0, "customers")).sum()
    assert rows["spend"].sum() == spent.sum()
    assert rows.item(-1, "share_so_far") == 1


def test_abandoned_carts_are_counted_from_events(answer, sales, tiny_lake):
    """Moments at which the product was put into a cart, and baskets with it."""
    row = answer("abandoned_carts").row(0, named=True)
    mine = pl.col(PRODUCT) == row[PRODUCT]
    carts = tiny_lake.scan("silver.events").filter(mine, pl.col("event_type") == "add_to_cart").collect()

    assert row["carts"] == carts.height
    assert row["purchases"] == sales.filter(mine).select(CUSTOMER, "timestamp").n_unique()


def test_discount_shoppers_are_all_buyers(answer, sales):
    """Those who never had a discount are a group of their own."""
    means = sales.group_by(CUSTOMER).agg(pl.col("discount_applied").mean())
    rows = dict(answer("discount_shoppers").select("mean_discount", "customers").iter_rows())

    assert sum(rows.values()) == means.height
    assert rows["1: none"] == (means["discount_applied"] == 0).sum()
