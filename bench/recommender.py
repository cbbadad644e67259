"""Measures the recommender by the protocol of published comparisons, beside its named baselines.

    python -m bench.recommender --var var/cj --cutoff 2017-12-03T19:00 --min-buyers 20     # 2017-12-04 in UTC
    python -m bench.recommender --var var/rich --truth /path/to/truth

Trains on what happened before the cutoff (28 days before the data's clock where none is given), tests on the 28 days
after it, ranks all eligible products. Only products with so many buyers by the cutoff count. With a generated shop's
truth, the oracle that knows each customer's taste and repertoire is measured too.
"""

import argparse
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lakehouse.sources.synthetic.catalogue import CATEGORIES
from lakehouse.sources.synthetic.sessions import HABIT
from lakehouse.storage import Lake
from training.interactions import HORIZON, TABLES, Past, Reader, histories
from training.popularity_recommender import PopularityRecommender
from training.recommend_request import History
from training.settings import TrainingSettings
from training.use_case import Dataset, Metrics
from training.use_cases import recommender

SHOWN = ("recall_at_10", "ndcg_at_10", "novel_recall_at_10", "novel_ndcg_at_10", "coverage")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--var", type=Path, required=True, help="The folder that has the lake; it is only read.")
    parser.add_argument("--cutoff", type=datetime.fromisoformat)
    parser.add_argument("--min-buyers", type=int, default=1)
    parser.add_argument("--truth", type=Path, help="The truth beside a generated shop.")
    given = parser.parse_args()
    data = dataset(Lake(TrainingSettings(var_dir=given.var, lake_root="")), given.cutoff, given.min_buyers)
    print(f"{data.test.height:,} customers, cutoff {data.as_of}")
    started = time.process_time()
    model = recommender.fit(data)
    print(f"fit in {time.process_time() - started:.1f} s of CPU: {dict(model.params)}")
    show("model", recommender.evaluate(model, data))
    show("popularity", recommender.evaluate(recommender.fit_baseline(data), data))
    for name, metrics in recommender.references(data).items():
        show(name, metrics)
    if given.truth:
        popular = recommender.fit_baseline(data)
        assert isinstance(popular, PopularityRecommender)
        show("oracle", recommender.evaluate(Oracle(popular, data, given.truth), data))


def dataset(lake: Lake, cutoff: datetime | None, min_buyers: int) -> Dataset:
    """As the use case's, with only products that had enough buyers, and only customers known by the cutoff."""
    reader = Reader(lake, {table: lake.version(table) for table in TABLES})
    assert reader.clock is not None
    cutoff = cutoff or reader.clock - HORIZON
    past, before = (popular_only(reader.past(moment), min_buyers) for moment in (cutoff, cutoff - HORIZON))
    rows = reader.rows(past)
    return Dataset(
        train=past.interactions,
        test=rows.filter(pl.col("history_product_ids").list.len() > 0),
        labels_end=cutoff,
        as_of=cutoff,
        data_versions={},
        extra={"past": past, "tuning": (before, reader.rows(before))},
    )


def popular_only(past: Past, min_buyers: int) -> Past:
    """Without the products that had fewer buyers."""
    buyers = past.interactions.filter(pl.col("purchase_count") > 0).group_by("product_id").len()
    kept = buyers.filter(pl.col("len") >= min_buyers)
    return replace(past, interactions=past.interactions.join(kept, on="product_id", how="semi"))


def show(name: str, metrics: Metrics) -> None:
    """One line of the table."""
    print(f"{name:26}" + "".join(f"{label} {metrics[label]:.4f}   " for label in SHOWN), flush=True)


class Oracle(PopularityRecommender):
    """Each product's chance in a customer's next view, from the generator's own truth."""

    def __init__(self, popular: PopularityRecommender, data: Dataset, truth: Path) -> None:
        super().__init__(popular.catalogue, popular.params)
        chances = oracle_chances(popular.catalogue.product_ids, data, truth)
        customers = data.extra["past"].interactions["customer_id"].unique().sort().to_list()
        known = histories(data.extra["past"].interactions)
        whose = zip(customers, known, strict=True)
        self._chances = {_content(history): chances[customer] for customer, history in whose if customer in chances}

    def answer(self, rows: Any) -> Any:
        """As others, but the history only says who it is."""
        self._whose = iter([self._chances[_content(history)] for history, _ in rows])
        return super().answer(rows)

    def _scores(self, known: Any, repeats: Any) -> Any:
        return np.array([next(self._whose) for _ in known], dtype=np.float64)


def _content(history: History) -> bytes:
    """What tells a history from others."""
    return b"".join(part.tobytes() for part in (history.product_ids, history.weights, history.interest))


def oracle_chances(product_ids: Any, data: Dataset, truth: Path) -> dict[int, Any]:
    """By customer: (1 - HABIT) x taste + HABIT x repertoire, over the eligible products."""
    products = pl.DataFrame({"product_id": product_ids}).join(
        pl.read_parquet(truth / "products.parquet"), on="product_id", how="left", maintain_order="left"
    )
    named = products.join(data.extra["past"].products, on="product_id", how="left", maintain_order="left")
    category = np.array([list(CATEGORIES).index(name) for name in named["category"]])
    liking = (np.stack(products["style_affinity"].to_numpy()) * products["popularity"].to_numpy()[:, None]).T
    liking /= (liking @ np.eye(len(CATEGORIES))[category])[:, category]
    place = {product: number for number, product in enumerate(product_ids.tolist())}
    asked = pl.read_parquet(truth / "customers.parquet").join(data.test, on="customer_id", how="semi")
    found = {}
    for customer, style, weights, repertoire in asked.select(
        "customer_id", "style", "category_weights", "repertoire"
    ).iter_rows():
        chances = (1 - HABIT) * liking[style] * np.array(weights)[category]
        for product in repertoire:
            if product in place:
                chances[place[product]] += HABIT / len(repertoire)
        found[customer] = chances
    return found


if __name__ == "__main__":
    main()
