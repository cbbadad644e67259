"""The training sets' SQL against the same sets computed row by row from silver and gold, equal to 1e-9."""

import re
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lakehouse.dictionary import tables
from lakehouse.query import EMPTY
from lakehouse.query_examples import example
from lakehouse.query_script import run_script
from lakehouse.query_session import Session
from training import promotions
from training.use_cases import USE_CASES, get

SUM = pl.col("gross_revenue").sum().cast(pl.Float64)


@pytest.fixture(scope="module")
def lines(tiny_lake):
    """All lines of receipts."""
    return tiny_lake.scan("silver.transactions").collect()


@pytest.fixture(scope="module")
def customers(tiny_lake):
    """The customers of every as_of."""
    return tiny_lake.scan("gold.customer_features").collect()


@pytest.fixture(scope="module")
def buyers(customers):
    """Those who had bought by then."""
    return customers.filter(pl.col("tx_count") > 0)


def spent_after(customers, lines, as_ofs, days):
    """Customers as of some moments with what they spent in the days after."""
    parts = []
    for as_of in as_ofs:
        window = pl.col("timestamp").is_between(as_of, as_of + timedelta(days=days), closed="left")
        spent = lines.filter(window).group_by("customer_id").agg(label=SUM)
        parts.append(customers.filter(pl.col("as_of") == as_of).join(spent, on="customer_id", how="left"))
    return pl.concat(parts).with_columns(pl.col("label").fill_null(0.0)).sort("as_of", "customer_id")


def same(found, expected):
    """Equal in columns, order of rows, and values."""
    assert expected.height > 0
    assert_frame_equal(found, expected, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("refit", [False, True])
def test_clv_labels_are_the_spend_after_each_cutoff(tiny_lake, customers, lines, refit):
    """Of buyers and prospects, scaled to 180 days where the window is shorter, beside the window's first half."""
    data = get("clv").dataset(tiny_lake, refit=refit)

    def expected(cutoffs, days):
        whole, half = (spent_after(customers, lines, cutoffs, part) for part in (days, days / 2))
        half_label = half["label"].alias("label_half") * (360 / days)
        return whole.with_columns(pl.col("label") * (180 / days), half_label)

    same(data.train, expected(data.train["as_of"].unique().sort(), data.extra["label_days"]))
    assert data.train["tx_count"].min() == 0
    if not refit:
        same(data.test, expected([data.as_of], 180))


def test_segmentation_tests_on_the_spend_that_followed(tiny_lake, buyers, lines):
    """The customers fitted on have no label."""
    data = get("segmentation").dataset(tiny_lake)

    same(data.test, spent_after(buyers, lines, [data.as_of], data.extra["next_days"]))
    same(data.train, buyers.filter(pl.col("as_of") == data.labels_end).sort("customer_id"))


def test_propensity_rows_are_the_exposures_with_a_known_outcome(tiny_lake):
    """All columns of the exposure, and whether it was answered."""
    exposures = tiny_lake.scan("gold.campaign_exposures").filter(pl.col("responded").is_not_null()).collect()
    labelled = exposures.with_columns(label=pl.col("responded").cast(pl.Float64))

    same(get("propensity").dataset(tiny_lake, refit=True).train, labelled.sort("as_of", "campaign_id", "customer_id"))


def test_pricing_rows_are_weekly_units_orders_and_mean_prices(tiny_lake, lines):
    """Weeks begin when prices change; refunds, gifts and unpriced sales are left out; a moment is one order."""
    data = get("pricing").dataset(tiny_lake, refit=True)
    train, shift = data.train, timedelta(days=data.extra["first_day"])
    sold = lines.filter(pl.col("refund_flag") == 0, pl.col("gross_revenue") > 0)
    week = (pl.col("timestamp") - shift).dt.truncate("1w") + shift
    weeks = sold.group_by("product_id", week=week).agg(
        units=pl.col("quantity").sum(),
        orders=pl.struct("customer_id", "timestamp").n_unique().cast(pl.Int64),
        revenue=SUM,
    )
    known = weeks.join(train.select("product_id").unique(), on="product_id", how="semi").sort("product_id", "week")
    logs = {"log_units": pl.col("units").log(), "log_price": (pl.col("revenue") / pl.col("units")).log()}

    same(train.drop("category", "traffic"), known.with_columns(**logs))


def test_recommender_rows_are_what_was_bought_next_and_before(tiny_lake, lines):
    """The products of 28 days that anybody knew before, beside the customer's own history."""
    data = get("recommender").dataset(tiny_lake)
    window = pl.col("timestamp").is_between(data.as_of, data.as_of + timedelta(days=28), closed="left")
    bought = (
        lines.filter(window, pl.col("refund_flag") == 0, pl.col("product_id").is_in(data.train["product_id"].implode()))
        .group_by("customer_id")
        .agg(bought=pl.col("product_id").unique().sort())
    )
    known = data.train.sort("product_id").group_by("customer_id")
    measures = {"weights": "recency_weight", "view_counts": "view_count", "add_to_cart_counts": "add_to_cart_count"}
    named = {"history_product_ids": "product_id"} | {f"history_{name}": column for name, column in measures.items()}
    joined = bought.join(known.agg(**named), on="customer_id", how="left").sort("customer_id")

    same(data.test, joined.with_columns(pl.col(list(named)).fill_null([])))


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name)
def test_an_analyst_can_run_the_training_set(tiny_lake, use_case):
    """With the defaults that its head documents, and from no table that the use case does not pin where it is there."""
    query = example(f"training_{use_case.name}")
    with Session(tiny_lake) as session:
        (rows,) = run_script(session, query.text)

    code = "\n".join(line for line in query.text.splitlines() if not line.startswith("--"))
    read = {table for table in tables() if re.search(rf"(?<![\w.]){re.escape(table)}\b", code)}
    assert rows.height > 0
    assert read - set(EMPTY) <= set(use_case.dataset(tiny_lake).data_versions)


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name)
def test_what_a_model_takes_and_gives_is_in_the_dictionary(use_case):
    """Its columns in the prediction log have a meaning each."""
    logged = {*(f.name for f in use_case.features), *use_case.outputs, *use_case.options} - {"product_id", "as_of_day"}

    assert logged <= set(tables()["predictions"].columns)


def test_verdicts_are_in_the_dictionary():
    """Every column of the promotions table."""
    assert set(promotions.SCHEMA) == set(tables()["promotions"].columns)
