"""The next products of a customer: a function from purchase history to a ranked list, tested on the next 28 days."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lakehouse.errors import ShopSphereError
from lakehouse.query_examples import run_example
from lakehouse.storage import Lake
from training import als, blend, bootstrap, columns, history_recommender, item_models, ranking
from training.interactions import GOLD, HORIZON, TABLES, Past, Reader, history_columns, shuffled_past, with_histories
from training.one_blas_thread import one_blas_thread
from training.popularity_recommender import PopularityRecommender
from training.recommend_request import OPTIONS
from training.use_case import Columns, Dataset, Decision, Metrics, Model, UseCase

Array = np.ndarray[Any, Any]
K = 10


class InteractionsError(ShopSphereError):
    """The lake's interactions do not reach back to the cutoff that training needs."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """Interactions 28 days before the data's clock to train on, the purchases since then to test on.

    Both are 28 days earlier for each `window`. `extra` holds what was known at the cutoff as `past`, and as `tuning`
    what was known 28 days before it with what was bought in between.

    Raises:
        InteractionsError: there are no interactions before that cutoff, or `versions` lack a table.
    """
    versions = versions or {table: lake.version(table) for table in TABLES}
    if unpinned := [table for table in TABLES if table not in versions]:
        raise InteractionsError(f"no version of {unpinned[0]} is pinned: train a new model")
    reader = Reader(lake, versions)
    clock = reader.clock()
    if clock is None:
        raise InteractionsError(f"{GOLD} has no rows: load more history and run `shopsphere build`")
    cutoff = clock if refit else clock - HORIZON * (1 + window)
    past = reader.past(cutoff, built=not window)
    if not past.interactions.height:
        raise InteractionsError(f"{GOLD} has no rows as of {cutoff}: load more history and run `shopsphere build`")
    before = reader.past(cutoff - HORIZON, built=False)
    return Dataset(
        train=past.interactions,
        test=reader.rows(past) if window else _test(lake, past, versions),
        labels_end=cutoff,
        as_of=cutoff,
        data_versions=versions,
        extra={"past": past, "tuning": (before, reader.rows(before))},
    )


@one_blas_thread
def fit(data: Dataset) -> Model:
    """ALS blended with own purchases and views, the blend chosen on the 28 days before the training cutoff."""
    past, (before, rows) = data.extra["past"], data.extra["tuning"]
    chosen = blend.choose(before, rows) if rows.height and before.interactions.height else blend.untuned(past)
    return als.fit_history(past, chosen).with_lists(als.latest_histories(past))


def fit_baseline(data: Dataset) -> Model:
    """The same list for everybody: what sold most, recent sales counting more."""
    return als.fit_popularity(data.extra["past"])


def shuffled(data: Dataset, seed: int) -> Dataset:
    """The same numbers of purchases and of buyers, but who bought what is drawn by lot, before and after the cutoff."""
    past, (before, rows) = data.extra["past"], data.extra["tuning"]
    mixed = shuffled_past(past, seed=3 * seed)
    drawn = np.random.default_rng(3 * seed + 2).permutation(rows.height)
    tuning = (shuffled_past(before, seed=3 * seed + 1), rows.with_columns(rows["bought"].gather(drawn)))
    return replace(data, train=mixed.interactions, extra={"past": mixed, "tuning": tuning})


@one_blas_thread
def evaluate(model: Model, data: Dataset) -> Metrics:
    """Ranking metrics at 10 over the whole catalogue, per customer who bought in the test window.

    `novel_` metrics are of requests without repeats: products that a customer had bought before are left out of the
    list and of the truth.
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


@one_blas_thread
def references(data: Dataset) -> dict[str, Metrics]:
    """Named baselines: popularity, own history, ALS alone, BM25 neighbours, and EASE where it fits in memory.

    They have the catalogue of the model, and all parameters but the ones that published comparisons use left alone.
    """
    past: Past = data.extra["past"]
    popular = als.fit_popularity(past)
    models: dict[str, PopularityRecommender] = {
        "popularity_all_time": als.fit_popularity(past, by="buyers"),
        "own_purchases": item_models.OwnHistory(popular, interest=0.0),
        "als": als.fit_history(past, blend.params(NOTHING, NOTHING, regularization=20.0)),
        "bm25": item_models.bm25(popular, past),
    }
    if (past.interactions["view_count"] > 0).any():
        models["own_purchases_and_views"] = item_models.OwnHistory(popular, interest=0.3)
    if len(popular.catalogue.product_ids) <= item_models.EASE_PRODUCTS:
        models["ease"] = item_models.ease(popular, past)
    return {name: evaluate(model, data) for name, model in models.items()}


NOTHING = blend.Weights(0.0, 0.0, 0.0)


@one_blas_thread
def gains(candidate: Model, champion: Model, data: Dataset) -> Array:
    """The difference in mean NDCG@10 on resampled customers."""
    first, second = (_customer_ndcg(model, data.test) for model in (candidate, champion))
    return bootstrap.paired_gains(lambda rows: float((first - second)[rows].mean()), data.test.height)


def gate(candidate: Metrics, champion: Metrics) -> Decision:
    """Better NDCG@10 than the champion by more than noise."""
    new, old, low = candidate["ndcg_at_10"], champion["ndcg_at_10"], candidate["gain_low"]
    if not new > old:
        return Decision(promote=False, reasons=[f"NDCG@10 {new:.4f} is not above the champion's {old:.4f}"])
    if low < 0:
        reason = f"NDCG@10 {new:.4f} against {old:.4f} is within noise (the gain's lower bound is {low:.4f})"
        return Decision(promote=False, reasons=[reason])
    return Decision(promote=True, reasons=[f"NDCG@10 {new:.4f} is above the champion's {old:.4f} by more than noise"])


@one_blas_thread
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
    """For each recommended product, what of the history it rests on: `supporting_product_ids`, one list per item."""
    assert isinstance(model, PopularityRecommender)  # noqa: S101 (what `load` gives)
    items = model.predict(inputs, options)["item_ids"][0]
    return {"supporting_product_ids": model.supporting(inputs, options, items)}


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Four customers' histories and an empty one; each asks for something else."""
    past: Past = data.extra["past"]
    customers = data.train["customer_id"].unique().sort().head(4)
    rows = with_histories(
        pl.DataFrame({"customer_id": [*customers, -1], "bought": [[0]] * (len(customers) + 1)}), data.train
    )
    count, category = rows.height, past.products["category"].drop_nulls().unique().sort().head(1).to_list()
    country = past.customers["country"].drop_nulls().unique().sort().head(1).to_list()
    return history_columns(rows), {
        "k": np.full(count, K),
        "include_repeats": np.array([np.nan, 0.0, 1.0, np.nan, np.nan])[-count:],
        "categories": columns.object_array([[], [], category, [], []][-count:]),
        "exclude_product_ids": columns.object_array([[], [int(data.train["product_id"][0])], [], [], []][-count:]),
        "country": columns.object_array(["", "", "", "", *(country or [""])][-count:]),
        "as_of_day": np.full(count, np.nan),
    }


def load(folder: Path) -> Model:
    """The model in an artifact folder."""
    return history_recommender.load(folder)


def _test(lake: Lake, past: Past, versions: Mapping[str, int]) -> pl.DataFrame:
    return run_example(lake, "training_recommender", versions=versions, cutoff=past.as_of, days=HORIZON.days)


def _lists(rows: pl.DataFrame, name: str) -> list[Array]:
    return [entry.to_numpy() for entry in rows[name]]


def _ranked(model: Model, rows: pl.DataFrame, k: int = K, **options: float) -> list[Array]:
    asked = {"k": np.full(rows.height, k), **{name: np.full(rows.height, value) for name, value in options.items()}}
    return list(model.predict(history_columns(rows), asked)["item_ids"])


def _found(ranked: list[Array], rows: pl.DataFrame) -> tuple[Array, Array]:
    return ranking.hits(ranked, _lists(rows, "bought"), k=K), rows["bought"].list.len().to_numpy()


def _customer_ndcg(model: Model, rows: pl.DataFrame) -> Array:
    return ranking.ndcg(*_found(_ranked(model, rows), rows))


def _novel(model: Model, rows: pl.DataFrame) -> Metrics:
    """Recall and NDCG on what was bought for the first time; customers without such a purchase are left out."""
    new = [
        np.setdiff1d(bought, ids[weights > 0]).tolist()
        for bought, ids, weights in zip(
            *(_lists(rows, name) for name in ("bought", "history_product_ids", "history_weights")), strict=True
        )
    ]
    rows = rows.with_columns(pl.Series("bought", new, dtype=pl.List(pl.Int64))).filter(pl.col("bought").list.len() > 0)
    found, count = _found(_ranked(model, rows, include_repeats=0.0), rows)
    return {
        "novel_recall_at_10": float(ranking.recall(found, count).mean()) if rows.height else 0.0,
        "novel_ndcg_at_10": float(ranking.ndcg(found, count).mean()) if rows.height else 0.0,
    }


RECOMMENDER = UseCase(
    name="recommender",
    title="Next products of a customer",
    not_for="stock or margin decisions, and products nobody has bought yet: it knows purchases alone.",
    entity="customer",
    feature_table=GOLD,
    features=(),
    options=OPTIONS,
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
    shuffled=shuffled,
)
