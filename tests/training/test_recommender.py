"""The recommender: what it learns, how it is blended, and that it is never without an answer."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from recommender_checks import AS_OF, ask

from training import als, artifact, blend, columns, eligible, item_models
from training.history_recommender import HistoryRecommender
from training.interactions import Past, Reader, history_columns, with_histories
from training.recommend_request import HISTORY
from training.use_case import Dataset
from training.use_cases import get


def past_of(rows, *, as_of=AS_OF):
    """What is known from (customer, product, weight) rows: each weight is that many purchases of today."""
    frame = pl.DataFrame(rows, schema=["customer_id", "product_id", "purchase_count"], orient="row")
    counts = (
        frame.group_by("customer_id", "product_id")
        .agg(pl.col("purchase_count").sum())
        .with_columns(
            recency_weight=pl.col("purchase_count").cast(pl.Float64),
            recency_days=pl.lit(0.0),
            view_count=pl.lit(0),
            add_to_cart_count=pl.lit(0),
        )
    )
    products = pl.DataFrame({"product_id": frame["product_id"].unique().sort()}).with_columns(
        category=pl.lit("Toys"), launch_date=pl.lit(None, dtype=pl.Date)
    )
    sold = counts.group_by("product_id").agg(total=pl.col("purchase_count").sum())
    return Past(
        as_of=as_of,
        interactions=counts.sort("customer_id", "product_id"),
        recent=sold.with_columns(recent=pl.col("total").cast(pl.Float64)),
        products=products,
        customers=pl.DataFrame({"customer_id": frame["customer_id"].unique()}).with_columns(country=pl.lit("US")),
    )


def data_of(past, test=None, *, tuning=None):
    """A dataset of that past; its test rows are what customers bought next, as (customer, products)."""
    bought = pl.DataFrame(test or [(1, [10])], schema=["customer_id", "bought"], orient="row")
    rows = with_histories(bought, past.interactions)
    empty = replace(past, interactions=past.interactions.clear())
    return Dataset(
        train=past.interactions,
        test=rows,
        labels_end=past.as_of,
        as_of=past.as_of,
        data_versions={},
        extra={"past": past, "tuning": tuning or (empty, rows.clear())},
    )


PLAIN = blend.params(blend.Weights(0.0, 0.0, 0.0), blend.Weights(0.0, 0.0, 0.0), regularization=0.1)


def with_blend(model, **blend):
    """The same factors, blended otherwise."""
    return HistoryRecommender(model.catalogue, model.params | blend, factors=model.factors, lift=model.lift)


def board(size=12):
    """A checkerboard with the diagonal withheld: customers buy the products of their own colour, but for one."""
    rows = [(c, 100 + p, 1) for c in range(size) for p in range(size) if (c + p) % 2 == 0 and c != p]
    return past_of(rows)


def test_als_finds_the_withheld_product():
    """Everybody's first new product is the one of their own colour that they have not bought."""
    past = board()
    model = als.fit_history(past, PLAIN)
    inputs = history_columns(
        with_histories(past.interactions.select("customer_id").unique().sort("customer_id"), past.interactions)
    )
    new = model.predict(inputs, {"k": np.full(12, 1), "include_repeats": np.zeros(12)})["item_ids"]
    assert [100 + customer for customer in range(12)] == [int(items[0]) for items in new]


def test_a_customer_unseen_in_training_is_folded_in():
    """From nothing but what was bought lately: the answer is that of customers who bought the same."""
    model = als.fit_history(board(), PLAIN)
    odd = ask(model, [101, 103, 105], [1.0] * 3, k=3, include_repeats=0.0)
    assert all(item % 2 for item in odd["item_ids"])
    assert list(odd["item_reasons"]) == ["similar"] * 3


def test_repeats_are_a_default_and_an_option():
    """What is bought again is first with repeats, and absent without."""
    model = with_blend(als.fit_history(board(), PLAIN), repeat=5.0)
    heavy = {"products": [100, 102], "weights": [1.0, 9.0]}
    assert ask(model, **heavy)["item_ids"][0] == 102
    assert ask(model, **heavy)["item_reasons"][0] == "repeat"
    assert not {100, 102} & set(ask(model, **heavy, include_repeats=0.0)["item_ids"])
    without = with_blend(model, include_repeats=False)
    assert not {100, 102} & set(ask(without, **heavy)["item_ids"])
    assert ask(without, **heavy, include_repeats=1.0)["item_ids"][0] == 102


def test_more_views_never_lower_a_product():
    """Interest counts without a purchase, and a viewed product is new."""
    model = with_blend(als.fit_history(board(), PLAIN), new_interest=1.0)
    places = [
        list(
            ask(model, [100, 102, 111], [1.0, 1.0, 0.0], 12, views=[0, 0, views], include_repeats=0.0)["item_ids"]
        ).index(111)
        for views in (0, 2, 9)
    ]
    assert places == sorted(places, reverse=True)
    assert places[-1] == 0


def test_a_list_rests_on_the_history():
    """A repeat rests on the purchases of itself."""
    model = with_blend(als.fit_history(board(), PLAIN), repeat=5.0)
    inputs = {
        name: columns.object_array([np.array(part)])
        for name, part in zip(list(HISTORY)[:2], ([100, 102], [1.0, 9.0]), strict=True)
    }
    explained = get("recommender").explain(model, inputs, {"k": np.array([3])})["supporting_product_ids"]
    assert explained[0][0] == 102
    assert all(set(rests) <= {100, 102} for rests in explained)


def test_the_blend_follows_how_the_shop_is_bought():
    """Where customers buy their own things again, repeats get weight; where they never do, the default is new ones."""
    generator = np.random.default_rng(0)
    own = {c: generator.choice(60, 6, replace=False) for c in range(150)}
    past = past_of([(c, 100 + int(p), 3) for c, products in own.items() for p in products])
    again = [(c, (100 + np.sort(products[:3])).tolist()) for c, products in own.items()]
    never = [(c, [100 + int(p) for p in range(60) if p not in own[c]][:3]) for c in own]
    loyal, curious = (blend.choose(past, data_of(past, rows).test) for rows in (again, never))
    assert loyal["repeat"] > 0
    assert (loyal["include_repeats"], curious["include_repeats"]) == (True, False)
    assert curious["repeat"] == 0


def test_what_sells_better_lately_is_lifted():
    """The lift is 1 for all where nothing changed, and above 1 for what sells better than usual."""
    kept = pl.DataFrame({"product_id": [1, 2, 3]})
    same = pl.DataFrame({"product_id": [1, 2, 3], "recent": [1.0, 2.0, 3.0], "total": [10, 20, 30]})
    assert eligible.lift(kept, same) == pytest.approx([1, 1, 1])
    rising = same.with_columns(recent=pl.Series([5.0, 2.0, 0.0]))
    lift = eligible.lift(kept, rising)
    assert lift[0] > 1 > lift[2]


@pytest.mark.parametrize(
    "rows",
    [[(1, 10, 1)], [(1, 10, 2), (1, 11, 1)], [(c, 10 + c, 1) for c in range(6)]],
    ids=["one customer, one product", "one customer", "nobody shares a product"],
)
def test_tiny_shops_are_trained_on(rows):
    """Also without an earlier window; k is more than there is, and who has bought everything gets something."""
    data = data_of(past_of(rows))
    model = get("recommender").fit(data)
    products = sorted({product for _, product, _ in rows})
    assert sorted(ask(model, k=50)["item_ids"]) == products
    everything = [products, [1.0] * len(products), 50]
    assert sorted(ask(model, *everything)["item_ids"]) == products
    assert list(ask(model, *everything, include_repeats=0.0)["item_ids"]) == []
    assert all(np.isfinite(value) for value in get("recommender").evaluate(model, data).values())


def test_named_baselines_know_the_board():
    """BM25 neighbours and EASE find the withheld product too; own history finds what was bought."""
    past = board()
    popular = als.fit_popularity(past)
    bought = [100, 102, 104, 106, 108]
    for model in (item_models.bm25(popular, past), item_models.ease(popular, past)):
        assert ask(model, bought, [1.0] * 5, 1, include_repeats=0.0)["item_ids"][0] % 2 == 0
    own = item_models.OwnHistory(popular, interest=0.0)
    assert list(ask(own, [103, 101], [2.0, 1.0], 2)["item_ids"]) == [103, 101]


def test_nothing_is_learned_from_shuffled_purchases(tiny_lake):
    """A model of them gains nothing over popularity, which the real one beats."""
    use_case = get("recommender")
    data = use_case.dataset(tiny_lake)
    baseline = use_case.fit_baseline(data)
    gains = {
        name: use_case.gains(use_case.fit(rows), baseline, data)
        for name, rows in {"real": data, "shuffled": use_case.shuffled(data, 0)}.items()
    }
    assert np.quantile(gains["real"], 0.05) > 0
    assert np.quantile(gains["shuffled"], 0.05) <= 0


def test_earlier_windows_see_nothing_of_later_ones(tiny_lake):
    """Each ends where the next begins."""
    newest, earlier = (get("recommender").dataset(tiny_lake, window=window) for window in (0, 1))
    assert newest.as_of - earlier.as_of == timedelta(days=28)
    assert earlier.test.height > 0
    before, _ = earlier.extra["tuning"]
    assert before.as_of == earlier.as_of - timedelta(days=28)


def test_the_query_and_python_give_the_same_test_set(tiny_lake):
    """Histories, weights and purchases: SQL adds up the days before a cutoff as `interactions_before` does."""
    data = get("recommender").dataset(tiny_lake)
    rows = Reader(tiny_lake, data.data_versions).rows(data.extra["past"])
    assert rows.height > 50
    assert_frame_equal(rows, data.test, rel_tol=1e-9)


def test_the_artifact_names_no_customer(tiny_lake, tmp_path, naming):
    """It is a function from history to products: forgetting a customer needs no new model."""
    use_case = get("recommender")
    data = use_case.dataset(tiny_lake)
    model = use_case.fit(data)
    model.save(tmp_path)
    artifact.write_golden(tmp_path, model, *use_case.example(data))
    assert naming(tmp_path) == []
