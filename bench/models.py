"""Measures the five models beside their named baselines, on real receipts and on a generated shop with known truth.

    python -m bench.models                # builds both lakes first; about 10 minutes

Each model is fitted before its test window and tested once on it: the holdout on which its gate judges it. Beside the
generated shop's truth: rank correlation with expected revenue, error and coverage of elasticities, what an oracle of
responses reaches. `bench.recommender` measures the recommender by the protocol of published comparisons.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.recommender import Oracle
from lakehouse.build import build, label_features
from lakehouse.ingest import ingest
from lakehouse.parallel import side_by_side
from lakehouse.sources import synthetic
from lakehouse.storage import Lake
from training import classification, regression, tabular
from training.examine import gain
from training.intervals import intervals
from training.popularity_recommender import PopularityRecommender
from training.settings import TrainingSettings
from training.use_case import Dataset, Metrics, Model, UseCase
from training.use_cases import USE_CASES
from training.use_cases import recommender as use_case_recommender

Array = np.ndarray[Any, Any]
SHOP = {"customers": 20_000, "products": 500, "density": 8.0, "days": 1_095}
SHOWN = {
    "clv": ("spearman", "gini", "mae", "rmse", "coverage_80"),
    "propensity": ("auc", "auc_within", "lift_at_10", "log_loss"),
    "recommender": ("recall_at_10", "ndcg_at_10", "novel_recall_at_10", "novel_ndcg_at_10"),
    "segmentation": ("silhouette", "bootstrap_ari", "smallest_share", "eta_squared"),
    "pricing": ("rmse_log_units", "wape", "share_negative"),
}
"""The metrics that are printed, the gate's own among them."""


def main() -> None:
    """Build what is missing, fit, and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("var/bench-models"), help="Where the lakes are.")
    parser.add_argument("--only", nargs="*", choices=SHOWN, default=list(SHOWN), help="Some use cases alone.")
    arguments = parser.parse_args()
    truth = arguments.folder / "shop" / "truth"
    for name in ("complete_journey", "shop"):
        lake = _lake(arguments.folder, name)
        print(f"\n{name.replace('_', ' ').capitalize()}")
        for use_case in USE_CASES:
            if use_case.name in arguments.only:
                measure(use_case, lake, truth if name == "shop" else None)


def _lake(folder: Path, name: str) -> Lake:
    settings = TrainingSettings(var_dir=folder / name, lake_root="")
    lake, done = Lake(settings), folder / name / "built"
    if not done.exists():
        source = name
        if name == "shop":
            knobs = synthetic.knobs_of("rich", dirty=False, deep=True, seed=0, **SHOP)
            synthetic.generate(folder / name / "raw", folder / name / "truth", knobs)
            source = str(folder / name / "raw")
        ingest(lake, source)
        build(lake)
        for table in sorted({use_case.feature_table for use_case in USE_CASES}):
            label_features(lake, table, run=side_by_side)
        done.touch()
    return lake


def measure(use_case: UseCase, lake: Lake, truth: Path | None) -> None:
    """Fit a use case's model, and print it beside its baselines and, where there is one, the truth."""
    data = use_case.dataset(lake)
    started = time.process_time()
    model = use_case.fit(data)
    seconds = time.process_time() - started
    baseline = use_case.fit_baseline(data)
    print(
        f"\n{use_case.name}: tested on {data.test.height:,} rows from {data.as_of:%Y-%m-%d}, fit in {seconds:.0f} CPU s"
    )
    names = SHOWN[use_case.name]
    print(f"{'':28}" + "".join(f"{name:>20}" for name in names))
    bounds = intervals(use_case, model, data)
    _row("model", use_case.evaluate(model, data), names)
    if bounds:
        print(f"{'  90 % interval':28}" + "".join(f"{_interval(bounds.get(name)):>20}" for name in names))
    _row("simple baseline", use_case.evaluate(baseline, data), names)
    for name, metrics in use_case.references(data).items():
        _row(name.replace("_", " "), metrics, names)
    better = gain(use_case, model, baseline, data)
    print(f"gain in {use_case.primary_metric}: {better['gain']:.4g}, at least {better['gain_low']:.4g}")
    if truth and use_case.name in TRUTHS:
        print(f"beside the truth: {_listed(TRUTHS[use_case.name](model, data, truth))}")
    sys.stdout.flush()


def _row(name: str, metrics: Metrics, names: tuple[str, ...]) -> None:
    print(f"{name:28}" + "".join(f"{metrics[one]:20.4f}" if one in metrics else f"{'':>20}" for one in names))


def _interval(bounds: tuple[float, float] | None) -> str:
    return f"{bounds[0]:.4g} to {bounds[1]:.4g}" if bounds else ""


def _listed(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in found.items())


def clv_truth(model: Model, data: Dataset, truth: Path) -> Metrics:
    """Rank correlation with expected revenue at the nearest cutoff of the truth, and the oracle's share of skill."""
    expected = pl.read_parquet(truth / "expected_revenue.parquet")
    nearest = min(expected["as_of"].unique(), key=lambda moment: abs(moment - data.as_of))
    known = data.test.select("customer_id").join(
        expected.filter(pl.col("as_of") == nearest), on="customer_id", how="left"
    )
    oracle = known["expected_revenue_180d"].fill_null(0).to_numpy()
    ours = _answers(model, data, "clv_180d")
    actual = data.test["label"].to_numpy()
    reached, possible = (regression.rank_correlation(actual, column) for column in (ours, oracle))
    return {
        "spearman with expected revenue": regression.rank_correlation(oracle, ours),
        "spearman with what came": reached,
        "the oracle's": possible,
        "share": reached / possible,
    }


def propensity_truth(model: Model, data: Dataset, truth: Path) -> Metrics:
    """AUC beside that of the generator's own chance of a response, on the exposures that it knows."""
    chances = pl.read_parquet(truth / "exposure.parquet").filter("is_treated")
    pair = ["customer_id", "campaign_id"]
    oracle = data.test.select(pair).join(chances.select(*pair, "prob_treated"), on=pair, how="left")["prob_treated"]
    rows = oracle.is_not_null().to_numpy()
    actual, ours = data.test["label"].to_numpy()[rows], _answers(model, data, "prob_response")[rows]
    return {
        "auc": classification.auc(actual, ours),
        "the oracle's": classification.auc(actual, oracle.to_numpy()[rows]),
    }


def recommender_truth(model: Model, data: Dataset, truth: Path) -> Metrics:
    """Recall and NDCG of the oracle that knows each customer's taste and repertoire, and the share that is reached."""
    known = replace(data, test=data.test.filter(pl.col("history_product_ids").list.len() > 0))
    popular = use_case_recommender.fit_baseline(known)
    assert isinstance(popular, PopularityRecommender)
    ours, oracle = (use_case_recommender.evaluate(one, known) for one in (model, Oracle(popular, known, truth)))
    shares = {f"share of the oracle's {name}": ours[name] / oracle[name] for name in ("recall_at_10", "ndcg_at_10")}
    return {"the oracle's recall_at_10": oracle["recall_at_10"], **shares}


def pricing_truth(model: Model, data: Dataset, truth: Path) -> Metrics:
    """Error of the elasticities, their bias, the share below 0 and that of 90 % intervals that hold the truth."""
    products = pl.read_parquet(truth / "products.parquet").select("product_id", "elasticity")
    found = model.predict({}, {"product_id": products["product_id"].to_numpy()})
    known = ~np.isnan(found["elasticity"])
    actual = products["elasticity"].to_numpy()[known]
    error = found["elasticity"][known] - actual
    held = (found["elasticity_p5"][known] <= actual) & (actual <= found["elasticity_p95"][known])
    return {
        "rmse": float(np.sqrt(np.square(error).mean())),
        "bias": float(error.mean()),
        "negative": float((found["elasticity"][known] < 0).mean()),
        "coverage of 90 %": float(held.mean()),
    }


def _answers(model: Model, data: Dataset, output: str) -> Array:
    names = list(model.defaults)
    return model.predict(tabular.to_columns(data.test, names), {})[output]


TRUTHS = {
    "clv": clv_truth,
    "propensity": propensity_truth,
    "recommender": recommender_truth,
    "pricing": pricing_truth,
}

if __name__ == "__main__":
    main()
