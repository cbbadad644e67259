"""Measures the price model on the products that sell most, with promotions and without, beside plain regressions.

    python -m bench.pricing --var var     # a built lake of Complete Journey

Of the 1,000 products with most units whose price moved, weeks 2 to 39 of 2017 are learned from and 40 to 52 tested on.
The second table is of the same shop without its promotions.
"""

import argparse
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from lakehouse.query_examples import run_example
from lakehouse.storage import Lake
from training import elasticity, price_panel
from training.settings import TrainingSettings
from training.use_case import Dataset, Metrics
from training.use_cases import pricing

FIRST, TESTED, END = datetime(2017, 1, 2), datetime(2017, 9, 25), datetime(2017, 12, 25)
PRODUCTS = 1_000
MOVED = 0.05
"""The standard deviation of a product's log price above which it counts as moved."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.pricing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--var", type=Path, required=True, help="The folder that has the lake; it is only read.")
    given = parser.parse_args()
    data = dataset(Lake(TrainingSettings(var_dir=given.var, lake_root="")))
    show("with promotions", data)
    bare = {name: rows.drop(elasticity.CONTROLS) for name, rows in (("train", data.train), ("test", data.test))}
    show("without", replace(data, **bare))


def dataset(lake: Lake) -> Dataset:
    """The panel of the protocol; products are chosen by the weeks before the test alone."""
    usual = pricing.dataset(lake, refit=True)
    first_day = usual.extra["first_day"]
    found = run_example(lake, "training_pricing", versions=usual.data_versions, first_day=first_day)
    weeks = found.filter(pl.col("week") >= FIRST, pl.col("week") < END)
    before = weeks.filter(pl.col("week") < TESTED)
    sold = before.group_by("product_id").agg(pl.col("units").sum(), moved=pl.col("log_price").std(), weeks=pl.len())
    sold = sold.filter(pl.col("moved") > MOVED, pl.col("weeks") >= elasticity.ENOUGH_WEEKS)
    chosen = sold.sort("units", "product_id", descending=[True, False]).head(PRODUCTS).select("product_id")
    panel = price_panel.with_traffic(weeks, before).join(chosen, on="product_id", how="semi")
    panel = panel.sort("product_id", "week")
    train, test = panel.filter(pl.col("week") < TESTED), panel.filter(pl.col("week") >= TESTED)
    return replace(usual, train=train, test=test, labels_end=TESTED, as_of=TESTED)


def show(title: str, data: Dataset) -> None:
    """The model, plain regressions and mean demand."""
    products = data.train["product_id"].n_unique()
    weeks = f"{data.train.height:,} product-weeks before {TESTED:%Y-%m-%d}, {data.test.height:,} after"
    print(f"\n{title}: {products:,} products, {weeks}")
    model = pricing.fit(data)
    print(f"controls {model.params['controls']}, median elasticity {model.params['median_elasticity']:.2f}")
    _row("model", pricing.evaluate(model, data))
    for name, metrics in pricing.references(data).items():
        _row(name.replace("_", " "), metrics)
    _row("mean demand", pricing.evaluate(pricing.fit_baseline(data), data))


def _row(name: str, metrics: Metrics) -> None:
    told = (
        f"{label} {metrics[label]:.4f}" for label in ("rmse_log_units", "wape", "share_negative") if label in metrics
    )
    print(f"{name:20}" + "   ".join(told), flush=True)


if __name__ == "__main__":
    main()
