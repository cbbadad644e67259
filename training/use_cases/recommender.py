"""The next products of a customer: a function from purchase history to a ranked list, tested on the next 28 days."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.query_examples import run_example
from lakehouse.storage import Lake
from training import als, bootstrap, history_recommender, ranking
from training.use_case import Columns, Dataset, Decision, Metrics, Model, UseCase

Array = np.ndarray[Any, Any]
TABLE = "gold.interactions"
SALES = "silver.transactions"
HORIZON = timedelta(days=28)
HALF_LIFE_DAYS = 60.0
DEFAULT_REPEAT = 1.0
K = 10


class InteractionsError(ShopSphereError):
    """The lake's interactions do not reach back to the cutoff that training needs."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """Interactions 28 days before the data's clock to train on, the purchases since then to test on.

    Both are 28 days earlier for each `window`, and then without what was only viewed.

    Raises:
        InteractionsError: gold has no interactions at that cutoff.
    """
    versions = versions or {table: lake.version(table) for table in (TABLE, SALES)}
    interactions = lake.scan(TABLE, versions[TABLE])
    clock = interactions.select(pl.col("as_of").max()).collect().item()
    if clock is None:
        raise InteractionsError(f"{TABLE} has no rows: load more history and run `shopsphere build`")
    cutoff = clock if refit else clock - HORIZON * (1 + window)
    sales = _sales(lake, versions[SALES])
    train = interactions.filter(pl.col("as_of") == cutoff).collect()
    if window:
        train = _history(sales, cutoff)
    if not train.height:
        raise InteractionsError(f"{TABLE} has no rows as of {cutoff}: load more history and run `shopsphere build`")
    sold = train["product_id"].unique()
    tuning = _history(sales, cutoff - HORIZON)
    return Dataset(
        train=train,
        test=run_example(lake, "training_recommender", versions=versions, cutoff=cutoff, days=HORIZON.days),
        labels_end=cutoff,
        as_of=cutoff,
        data_versions=versions,
        extra={"tuning": (tuning, _rows(tuning, _bought(sales, cutoff - HORIZON, sold)))},
    )


def fit(data: Dataset) -> Model:
    """ALS blended with own purchases, the blend chosen on the 28 days before the training cutoff."""
    history, rows = data.extra["tuning"]
    repeat = als.choose_repeat(history, rows) if rows.height and history.height else DEFAULT_REPEAT
    return als.fit_history(data.train, repeat=repeat)


def fit_baseline(data: Dataset) -> Model:
    """The same list for everybody: what sold most, recent sales counting more."""
    return als.fit_popularity(data.train)


def evaluate(model: Model, data: Dataset) -> Metrics:
    """Ranking metrics at 10 over the whole catalogue, per customer who bought in the test window.

    `novel_` metrics leave products that a customer had bought before out of the list and of the truth.
    """
    ranked = _ranked(model, data.test)
    found, count = _found(ranked, data.test)
    sales = data.train.group_by("product_id").agg(pl.col("purchase_count").sum()).sort("product_id")
    shares = sales["purchase_count"].to_numpy() / max(sales.select(pl.col("purchase_count").sum()).item(), 1)
    return {
        "ndcg_at_10": float(ranking.ndcg(found, count).mean()),
        "recall_at_10": float(ranking.recall(found, count).mean()),
        "hit_rate_at_10": float(found.any(axis=1).mean()),
        "coverage": ranking.coverage(ranked, int(model.params["catalogue_size"])),
        "novelty": ranking.novelty(ranked, sales["product_id"].to_numpy(), shares),
        **_novel(model, data.test),
        "test_customers": float(data.test.height),
    }


def references(data: Dataset) -> dict[str, Metrics]:
    """All-time popularity; the customer's own most-bought products; ALS alone."""
    blended = als.fit_history(data.train, repeat=0.0)
    return {
        "popularity_all_time": evaluate(als.fit_popularity(data.train, by="buyers"), data),
        "own_purchases": evaluate(als.with_repeat(blended, 1e4), data),
        "als": evaluate(blended, data),
    }


def gains(candidate: Model, champion: Model, data: Dataset) -> Array:
    """The difference in mean NDCG@10 on resampled customers."""
    first, second = (_customer_ndcg(model, data.test) for model in (candidate, champion))
    return bootstrap.paired_gains(lambda rows: float((first - second)[rows].mean()), data.test.height)


def gate(candidate: Metrics, champion: Metrics) -> Decision:
    """Better NDCG@10 than the champion by more than noise."""
    new, old, low = candidate["ndcg_at_10"], champion["ndcg_at_10"], candidate.get("gain_low", 0.0)
    if not new > old:
        return Decision(promote=False, reasons=[f"NDCG@10 {new:.4f} is not above the champion's {old:.4f}"])
    if low < 0:
        reason = f"NDCG@10 {new:.4f} against {old:.4f} is within noise (the gain's lower bound is {low:.4f})"
        return Decision(promote=False, reasons=[reason])
    return Decision(promote=True, reasons=[f"NDCG@10 {new:.4f} is above the champion's {old:.4f} by more than noise"])


def figures(model: Model, data: Dataset) -> dict[str, Any]:
    """Recall by length of the list, beside the popularity baseline."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    lengths = np.array([1, 2, 5, 10, 20, 50])
    count = data.test["bought"].list.len().to_numpy()
    for label, shown in (("model", model), ("popularity", fit_baseline(data))):
        found = ranking.hits(_ranked(shown, data.test, k=50), _lists(data.test, "bought"), k=50)
        axes.plot(lengths, [ranking.recall(found[:, :n], count).mean() for n in lengths], marker="o", label=label)
    axes.set(xlabel="length of the list", ylabel="recall", title="Share of the next 28 days' products found")
    axes.legend()
    return {"recall_by_k.png": figure}


def explain(model: Model, inputs: Columns, options: Columns) -> dict[str, Any]:
    """For each recommended product, the earlier purchases it rests on: `supporting_product_ids`, one list per item."""
    assert isinstance(model, history_recommender.PopularityRecommender)  # noqa: S101  # what `load` gives
    items = model.predict(inputs, options)["item_ids"][0]
    return {"supporting_product_ids": model.supporting(inputs, items)}


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Four customers' histories and an empty one."""
    customers = data.train["customer_id"].unique().sort().head(4)
    rows = _rows(data.train, pl.DataFrame({"customer_id": [*customers, -1], "bought": [[0]] * (len(customers) + 1)}))
    return als.history_columns(rows), {"k": np.full(rows.height, K)}


def load(folder: Path) -> Model:
    """The model in an artifact folder."""
    return history_recommender.load(folder)


def _sales(lake: Lake, version: int) -> pl.DataFrame:
    rows = lake.scan(SALES, version).filter(pl.col("product_id").is_not_null(), pl.col("refund_flag").fill_null(0) == 0)
    return rows.select("customer_id", "product_id", "timestamp").unique().collect()


def _history(sales: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """What gold.interactions would hold of purchases at a cutoff that it was not built for."""
    age = (pl.lit(cutoff) - pl.col("timestamp")).dt.total_seconds() / 86400
    return (
        sales.filter(pl.col("timestamp") < cutoff)
        .group_by("customer_id", "product_id")
        .agg(
            purchase_count=pl.len(),
            recency_days=age.min(),
            recency_weight=(0.5 ** (age / HALF_LIFE_DAYS)).sum(),
        )
    )


def _bought(sales: pl.DataFrame, cutoff: datetime, sold: pl.Series) -> pl.DataFrame:
    """What each customer bought in the 28 days from a cutoff, of products that were `sold` before."""
    window = sales.filter(pl.col("timestamp") >= cutoff, pl.col("timestamp") < cutoff + HORIZON)
    known = window.join(pl.DataFrame({"product_id": sold}), on="product_id", how="semi")
    return known.group_by("customer_id").agg(bought=pl.col("product_id").unique().sort()).sort("customer_id")


def _rows(history: pl.DataFrame, bought: pl.DataFrame) -> pl.DataFrame:
    """One row per customer of `bought`, with the history as lists, empty for new customers."""
    lists = (
        history.join(bought, on="customer_id", how="semi")
        .sort("customer_id", "product_id")
        .group_by("customer_id")
        .agg(history_product_ids="product_id", history_weights="recency_weight")
    )
    return bought.join(lists, on="customer_id", how="left", maintain_order="left").with_columns(
        pl.col("history_product_ids").fill_null([]), pl.col("history_weights").fill_null([])
    )


def _lists(rows: pl.DataFrame, name: str) -> list[Array]:
    return [entry.to_numpy() for entry in rows[name]]


def _ranked(model: Model, rows: pl.DataFrame, k: int = K) -> list[Array]:
    return list(model.predict(als.history_columns(rows), {"k": np.full(rows.height, k)})["item_ids"])


def _found(ranked: list[Array], rows: pl.DataFrame) -> tuple[Array, Array]:
    return ranking.hits(ranked, _lists(rows, "bought"), k=K), rows["bought"].list.len().to_numpy()


def _customer_ndcg(model: Model, rows: pl.DataFrame) -> Array:
    return ranking.ndcg(*_found(_ranked(model, rows), rows))


def _novel(model: Model, rows: pl.DataFrame) -> Metrics:
    """Recall and NDCG on what was bought for the first time; customers without such a purchase are left out."""
    new = pl.col("bought").list.set_difference("history_product_ids")
    rows = rows.with_columns(bought=new).filter(pl.col("bought").list.len() > 0)
    history = _lists(rows, "history_product_ids")
    k = np.array([K + len(bought) for bought in history])
    ranked = model.predict(als.history_columns(rows), {"k": k})["item_ids"]
    unseen = [items[~np.isin(items, bought)][:K] for items, bought in zip(ranked, history, strict=True)]
    found, count = _found(unseen, rows)
    return {
        "novel_recall_at_10": float(ranking.recall(found, count).mean()),
        "novel_ndcg_at_10": float(ranking.ndcg(found, count).mean()),
    }


RECOMMENDER = UseCase(
    name="recommender",
    title="Next products of a customer",
    not_for="stock or margin decisions, and products nobody has bought yet: it knows purchases alone.",
    entity="customer",
    feature_table=TABLE,
    features=(),
    options=("k",),
    outputs=("item_ids", "item_scores", "item_reasons"),
    primary_metric="ndcg_at_10",
    higher_is_better=True,
    dataset=dataset,
    fit=fit,
    fit_baseline=fit_baseline,
    evaluate=evaluate,
    references=references,
    gate=gate,
    figures=figures,
    load=load,
    explain=explain,
    example=example,
    gains=gains,
)
