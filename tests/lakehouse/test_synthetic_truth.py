"""The truth of the rich shop is true of its rows: what was expected happens, and what was confounded misleads."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from lakehouse.sources import synthetic

KNOBS = synthetic.knobs_of("rich", customers=1500, products=60, density=15.0, days=500, deep=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """Raw tables, and the truth's as `truth.<table>`."""
    folder = tmp_path_factory.mktemp("rich")
    synthetic.generate(folder, folder / "truth", KNOBS)
    tables = {path.stem: pl.read_csv(path, try_parse_dates=True) for path in folder.glob("*.csv")}
    return tables | {f"truth.{path.stem}": pl.read_parquet(path) for path in (folder / "truth").glob("*.parquet")}


def bought(shop: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Each pair of the experiments whose window has ended, and whether the customer bought in it."""
    end = KNOBS.start + timedelta(days=KNOBS.days)
    sales = shop["transactions"].filter(pl.col("refund_flag") == 0).select("customer_id", "timestamp")
    pairs = shop["truth.exposure"].filter(pl.col("window_end") <= end)
    within = pl.col("timestamp").is_between("exposed_at", "window_end", closed="left").fill_null(False)
    pair = ["customer_id", "campaign_id", "is_treated", "prob_treated", "prob_untreated"]
    return pairs.join(sales, on="customer_id", how="left").group_by(pair).agg(bought=within.any().cast(pl.Float64))


@pytest.mark.parametrize(("treated", "oracle"), [(True, "prob_treated"), (False, "prob_untreated")])
def test_as_many_respond_as_the_oracle_says(shop, treated: bool, oracle: str) -> None:
    """In each arm, within four standard errors, and the likelier ones before the others."""
    arm = bought(shop).filter(pl.col("is_treated") == treated)
    chance = arm[oracle].to_numpy()
    gap = (arm["bought"].to_numpy() - chance).sum()
    assert abs(gap) < 4 * np.sqrt((chance * (1 - chance)).sum())
    likely = arm.sort(oracle)["bought"].to_numpy()
    assert likely[len(likely) // 2 :].mean() > 2 * likely[: len(likely) // 2].mean()


def test_treatment_raises_the_chance_by_less_than_its_parameter(shop) -> None:
    """Caps and other visits dilute it: the truth is computed, not quoted."""
    pairs = shop["truth.exposure"]
    lift = pairs["prob_treated"].sum() / pairs["prob_untreated"].sum() - 1
    assert 0.05 < lift < pairs["uplift"].mean()
    assert (pairs["prob_treated"] >= pairs["prob_untreated"]).all()


def test_the_lake_would_see_each_treated_pair_once(shop) -> None:
    """It has a linked event that is no purchase, the first of them at the exposure; the other arm has none."""
    linked = shop["events"].filter(pl.col("campaign_id") > 0, pl.col("event_type") != "purchase")
    first = linked.group_by("customer_id", "campaign_id").agg(pl.col("timestamp").min())
    pairs = shop["truth.exposure"].join(first, on=["customer_id", "campaign_id"], how="full", coalesce=True)
    assert pairs.filter(pl.col("is_treated")).select((pl.col("timestamp") == pl.col("exposed_at")).all()).item()
    assert pairs.filter(pl.col("is_treated").not_())["timestamp"].is_null().all()
    assert pairs["is_treated"].null_count() == 0


def test_revenue_is_as_expected(shop) -> None:
    """In sum within four standard errors, and customers in the expected order far better than chance."""
    expected = shop["truth.expected_revenue"]
    cutoff = expected["as_of"].max()
    window = pl.col("timestamp").is_between(cutoff, cutoff + timedelta(days=180), closed="left")
    real = shop["transactions"].filter(window).group_by("customer_id").agg(real=pl.col("gross_revenue").sum())
    both = expected.filter(pl.col("as_of") == cutoff).join(real, on="customer_id", how="left").fill_null(0)
    gap = both["real"] - both["expected_revenue_180d"]
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(both.height)
    assert both.select(pl.corr("real", "expected_revenue_180d", method="spearman")).item() > 0.6
    assert both.filter(pl.col("is_active").not_()).select((pl.col("real") == 0).all()).item()


def naive_elasticity(shop: dict[str, pl.DataFrame], weeks: pl.DataFrame) -> float:
    """Carts per view in discounted weeks against the others, in logarithms, over the discount's; by product, pooled."""
    week = (pl.col("timestamp") - KNOBS.start).dt.total_days() // 7
    counts = (
        shop["events"]
        .group_by("product_id", week=week)
        .agg(views=(pl.col("event_type") == "view").sum(), carts=(pl.col("event_type") == "add_to_cart").sum())
        .join(
            weeks.with_columns(week=(pl.col("week_start") - KNOBS.start).dt.total_days() // 7),
            on=["product_id", "week"],
        )
        .group_by("product_id", is_discounted=pl.col("discount") > 0)
        .agg(pl.col("views", "carts").sum(), price=((1 - pl.col("discount")).log() * pl.col("views")).sum())
    )
    low, full = (counts.filter(pl.col("is_discounted") == side) for side in (True, False))
    both = low.join(full, on="product_id").filter(pl.col("carts") > 0, pl.col("carts_right") > 0)
    change = (both["carts"] / both["views"]).log() - (both["carts_right"] / both["views_right"]).log()
    return float(np.average(change / (both["price"] / both["views"]), weights=both["views"]))


def test_discounts_of_weak_weeks_make_demand_look_less_elastic(shop) -> None:
    """Over all weeks the naive estimate is nearer 0 than the truth; over the randomised price tests it is not."""
    truth, weeks = shop["truth.products"]["elasticity"].mean(), shop["truth.product_week"]
    assert truth == pytest.approx(-2, abs=0.4)
    naive = naive_elasticity(shop, weeks) - truth
    tested = naive_elasticity(shop, weeks.filter("is_randomised")) - truth
    assert naive > 0.15
    assert abs(tested) < naive


def test_elasticity_is_the_slope_of_the_simulators_own_demand(shop) -> None:
    """Near the parameter, but not equal to it: the chance of a cart is capped."""
    products = shop["truth.products"]
    gap = products["elasticity"] - products["elasticity_nominal"]
    assert 0 < gap.abs().max() < 0.5
    assert products.select(pl.corr("elasticity", "elasticity_nominal")).item() > 0.95


def test_the_best_seller_sells_many_times_the_median(shop) -> None:
    """There is taste in the shop, and repeated purchases."""
    sold = shop["transactions"]["product_id"].value_counts()["count"]
    assert sold.max() > 3 * sold.median()
    repeats = shop["transactions"].group_by("customer_id", "product_id").len()["len"]
    assert (repeats > 1).mean() > 0.1
