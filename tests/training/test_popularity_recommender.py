"""The frame of all recommenders: the popular ones, filters, the best k, reasons; and what a history is."""

import numpy as np
import pytest
from recommender_checks import AS_OF, ask

from training.catalogue import ALWAYS, Catalogue
from training.popularity_recommender import PopularityRecommender, best
from training.recommend_request import HISTORY, Asked, History, as_of_day


@pytest.fixture
def popular():
    """Products 5, 6 and 8, and 9 that is hardly sold; 8 is launched later, 6 and 9 are books."""
    day = int(as_of_day(AS_OF))
    catalogue = Catalogue(
        product_ids=np.array([5, 6, 8]),
        popularity=np.array([9, 3, 4]),
        category=np.array([1, 0, 1]),
        launch_day=np.array([ALWAYS, day, day + 10]),
        category_names=np.array(["Books", "Toys"]),
        country_names=np.array(["IN", "US"]),
        country_popularity=np.array([[1, 5, 2], [1, 1, 9]]),
        rest_ids=np.array([9]),
        rest_category=np.array([0]),
        rest_launch_day=np.array([ALWAYS]),
    )
    return PopularityRecommender(catalogue, {"catalogue_size": 3, "as_of_day": float(day + 20)})


def test_an_empty_history_gets_the_most_popular(popular):
    """Also one of unknown products, and no more than the catalogue has."""
    assert list(ask(popular, k=2)["item_ids"]) == [5, 8]
    assert list(ask(popular, [404], [1.0])["item_ids"]) == [5, 8, 6, 9]


def test_a_cold_customer_gets_what_is_popular_in_the_country(popular):
    """And everybody's popularity where the country is unknown; the reason says which."""
    india = ask(popular, k=2, country="IN")
    assert list(india["item_ids"]) == [6, 8]
    assert list(india["item_reasons"]) == ["popular_in_country"] * 2
    assert list(ask(popular, k=1, country="Mars")["item_reasons"]) == ["popular"]


@pytest.mark.parametrize("country", ["", "US", "IN", "FR"])
@pytest.mark.parametrize("products", [(), (9,)])
def test_what_cold_customers_get_is_ranked_once(popular, products, country, monkeypatch):
    """It is what the computation gives, whatever was asked for before."""
    ones = np.ones(len(products))
    history = History(product_ids=np.array(products, dtype=np.int64), weights=ones, interest=ones)
    rows = [(history, Asked.of({"k": [k], "country": [country]}, 0)) for k in (1, 2, 4)]
    expected = [[part.tolist() for part in answer] for answer in popular.computed(rows)]
    assert expected == [[part.tolist() for part in answer] for answer in popular.answer(rows)]
    monkeypatch.setattr(popular, "computed", lambda rows: [None] * len(rows))
    assert expected == [[part.tolist() for part in answer] for answer in popular.answer(rows)]


def test_equal_scores_are_taken_by_position_whoever_else_is_asked_for():
    """A row's list does not depend on how long another row's is."""
    scores = np.array([[1.0, 3.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0]], np.float32)

    assert best(scores, 4).tolist() == [[1, 5, 0, 2]]
    assert [best(scores, k)[0, :3].tolist() for k in (3, 5, 7, 8)] == [[1, 5, 0]] * 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"categories": ["Books"]}, [6, 9]),
        ({"categories": ["Books", "Toys"]}, [5, 8, 6, 9]),
        ({"categories": ["Cars"]}, []),
        ({"exclude_product_ids": [5, 9]}, [8, 6]),
        ({"exclude_product_ids": [5, 6, 8]}, [9]),
        ({"include_repeats": 0.0}, [8, 6]),
        ({"as_of_day": as_of_day(AS_OF)}, [5, 6, 9]),
        ({"as_of_day": as_of_day(AS_OF) - 1}, [5, 9]),
    ],
)
def test_filters_leave_what_passes_them(popular, options, expected):
    """Short lists are filled with the rest of the catalogue; only what passes no filter is left out."""
    answer = ask(popular, [5, 9], [1.0, 2.0], **options)
    assert list(answer["item_ids"]) == expected
    assert list(answer["item_scores"]) == sorted(answer["item_scores"], reverse=True)


def test_a_history_is_its_content():
    """Of its products those are bought that have a weight; a cart counts as two views."""
    inputs = {
        name: [np.array(part, dtype=float)]
        for name, part in zip(HISTORY, ([1, 2], [1, 0], [0, 3], [0, 1]), strict=True)
    }
    history = History.of(inputs, 0)
    assert list(history.bought) == [1]
    assert list(history.interest) == [0.0, 5.0]
