"""The next products of a customer: a function from purchase history to a ranked list, tested on the next 28 days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import ShopSphereError
from training import bootstrap, columns, history_recommender, ranking
from training.list_quality import K, by_customer, means, ndcg, ranked, recall_by_length
from training.one_blas_thread import one_blas_thread
from training.popularity_recommender import PopularityRecommender
from training.recommend_request import GOLD, OPTIONS
from training.use_case import Columns, Dataset, Decision, Metrics, Model, Resampled, UseCase

if TYPE_CHECKING:
    import polars as pl

    from lakehouse.storage import Lake
    from training.interactions import Past

Array = np.ndarray[Any, Any]
LENGTHS = [1, 5, 10, 20, 30, 50]
"""Lengths of lists that the figure shows."""


class InteractionsError(ShopSphereError):
    """The lake's interactions do not reach back to the cutoff that training needs."""


def dataset(lake: Lake, *, refit: bool = False, window: int = 0, versions: Mapping[str, int] | None = None) -> Dataset:
    """Interactions 28 days before the data's clock to train on, the purchases since then to test on.

    Both are 28 days earlier for each `window`. `extra` holds what was known at the cutoff as `past`, and as `tuning`
    what was known 28 days before it with what was bought in between.

    Raises:
        InteractionsError: there are no interactions before that cutoff, or `versions` lack a table.
    """
    from training.interactions import HORIZON, TABLES, Reader

    versions = versions or {table: lake.version(table) for table in TABLES}
    if unpinned := [table for table in TABLES if table not in versions]:
        raise InteractionsError(f"no version of {unpinned[0]} is pinned: train a new model")
    reader = Reader(lake, versions)
    if reader.clock is None:
        raise InteractionsError(f"{GOLD} has no rows: load more history and run `shopsphere build`")
    cutoff = reader.clock if refit else reader.clock - HORIZON * (1 + window)
    past = reader.past(cutoff)
    if not past.interactions.height:
        raise InteractionsError(f"{GOLD} has no rows before {cutoff}: load more history and run `shopsphere build`")
    before = reader.past(cutoff - HORIZON)
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
    from training import als, blend

    past, (before, rows) = data.extra["past"], data.extra["tuning"]
    chosen = blend.choose(before, rows) if rows.height and before.interactions.height else blend.untuned(past)
    return als.fit_history(past, chosen)


def fit_baseline(data: Dataset) -> Model:
    """The same list for everybody: what sold most, recent sales counting more."""
    from training import als

    return als.fit_popularity(data.extra["past"])


def shuffled(data: Dataset, seed: int) -> Dataset:
    """The same numbers of purchases and of buyers, but who bought what is drawn by lot, before and after the cutoff."""
    from training.interactions import shuffled_past

    past, (before, rows) = data.extra["past"], data.extra["tuning"]
    mixed = shuffled_past(past, seed=3 * seed)
    drawn = np.random.default_rng(3 * seed + 2).permutation(rows.height)
    tuning = (shuffled_past(before, seed=3 * seed + 1), rows.with_columns(rows["bought"].gather(drawn)))
    return replace(data, train=mixed.interactions, extra={"past": mixed, "tuning": tuning})


@one_blas_thread
def evaluate(model: Model, data: Dataset) -> Metrics:
    """Ranking metrics at 10 over the whole catalogue, means over the customers who bought in the test window.

    See `list_quality.by_customer`; coverage and novelty are of all lists together.
    """
    import polars as pl

    lists = ranked(model, data.test)
    sales = data.train.group_by("product_id").agg(pl.col("purchase_count").sum()).sort("product_id")
    shares = sales["purchase_count"].to_numpy() / max(sales.select(pl.col("purchase_count").sum()).item(), 1)
    return {
        **means(by_customer(model, lists, data.test)),
        "coverage": ranking.coverage(lists, int(model.params["catalogue_size"])),
        "novelty": ranking.novelty(lists, sales["product_id"].to_numpy(), shares),
        "test_customers": float(data.test.height),
    }


@one_blas_thread
def resampled(model: Model, data: Dataset) -> Resampled:
    """Customers are drawn; what all lists cover together is no mean over them."""
    columns = by_customer(model, ranked(model, data.test), data.test)
    return data.test.height, lambda drawn: means(columns, drawn)


@one_blas_thread
def references(data: Dataset) -> dict[str, Metrics]:
    """Named baselines: popularity, own history, ALS alone, BM25 neighbours, and EASE where it fits in memory.

    They have the catalogue of the model, and all parameters but the ones that published comparisons use left alone.
    """
    from training import als, blend, item_models

    past: Past = data.extra["past"]
    popular = als.fit_popularity(past)
    nothing = blend.Weights(0.0, 0.0, 0.0)
    models: dict[str, PopularityRecommender] = {
        "popularity_all_time": als.fit_popularity(past, by="buyers"),
        "own_purchases": item_models.OwnHistory(popular, interest=0.0),
        "als": als.fit_history(past, blend.params(nothing, nothing, regularization=20.0)),
        "bm25": item_models.bm25(popular, past),
    }
    if (past.interactions["view_count"] > 0).any():
        models["own_purchases_and_views"] = item_models.OwnHistory(popular, interest=0.3)
    if len(popular.catalogue.product_ids) <= item_models.EASE_PRODUCTS:
        models["ease"] = item_models.ease(popular, past)
    return {name: evaluate(model, data) for name, model in models.items()}


@one_blas_thread
def gains(candidate: Model, champion: Model, data: Dataset) -> Array:
    """The difference in mean NDCG@10 on resampled customers."""
    first, second = (ndcg(ranked(model, data.test), data.test) for model in (candidate, champion))
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

    from training.interactions import HORIZON

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for label, shown in (("model", model), ("popularity, the same list for all", fit_baseline(data))):
        recalls = recall_by_length(shown, data.test, LENGTHS)
        axes.plot(LENGTHS, recalls, marker="o", label=f"{label}: {recalls[LENGTHS.index(K)]:.1%} with {K}")
    test = f"{data.test.height:,} customers in the {HORIZON.days} days from {data.as_of:%Y-%m-%d}"
    axes.set(
        title=f"What lists find of the purchases of\n{test}",
        xlabel="products in the list",
        ylabel="share of what they bought (recall)",
        xticks=LENGTHS,
    )
    axes.yaxis.set_major_formatter("{x:.1%}")
    axes.grid(alpha=0.3)
    axes.legend()
    return {"recall_by_k.png": figure}


def explain(model: Model, inputs: Columns, options: Columns) -> dict[str, Any]:
    """For each recommended product, what of the history it rests on: `supporting_product_ids`, one list per item."""
    assert isinstance(model, PopularityRecommender)  # noqa: S101 (what `load` gives)
    items = model.predict(inputs, options)["item_ids"][0]
    return {"supporting_product_ids": model.supporting(inputs, options, items)}


def example(data: Dataset) -> tuple[Columns, Columns]:
    """Four customers' histories and an empty one; each asks for something else."""
    import polars as pl

    from training.interactions import history_columns, with_histories

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
    from lakehouse.query_examples import run_example
    from training.interactions import HORIZON

    return run_example(lake, "training_recommender", versions=versions, cutoff=past.as_of, days=HORIZON.days)


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
    resampled=resampled,
    shuffled=shuffled,
)
