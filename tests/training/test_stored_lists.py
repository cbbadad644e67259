"""Lists that a recommender computed ahead: what it would compute, found by the history alone."""

import numpy as np

from training import als, artifact, blend, columns
from training.history_recommender import HistoryRecommender
from training.interactions import histories, history_columns, with_histories
from training.recommend_request import HISTORY, History, as_of_day
from training.use_cases import get

PLAIN = blend.params(blend.Weights(0.0, 0.0, 0.0), blend.Weights(0.0, 0.0, 0.0), regularization=0.1)


def test_stored_lists_answer_as_the_computation_does(tiny_lake, tmp_path):
    """For the histories of training, for every k up to their length; and after a way through the artifact."""
    past = get("recommender").dataset(tiny_lake).extra["past"]
    plain = als.fit_history(past, {**PLAIN, "repeat": 0.5, "interest": 0.1, "trend": 0.5})
    rows = with_histories(past.interactions.select("customer_id").unique().sort("customer_id"), past.interactions)
    inputs = history_columns(rows)
    plain.with_lists(histories(past.interactions)).save(tmp_path / "model")
    stored = artifact.load(tmp_path / "model")
    for k in (1, 10, 20, 30):
        expected, answered = (model.predict(inputs, {"k": np.full(rows.height, k)}) for model in (plain, stored))
        assert all(columns.equal(expected[name], answered[name], tolerance=1e-5) for name in expected)
        for row in range(rows.height) if k <= 20 else ():
            found = stored.predict_known(History.of(inputs, row).digest(), k, as_of_day(past.as_of))
            assert found is None or found == {name: list(column[row]) for name, column in answered.items()}
    assert stored.predict_known(History.of(inputs, 0).digest(), 1, as_of_day(past.as_of)) is not None
    assert stored.predict_known(History.of(inputs, 0).digest(), 1, as_of_day(past.as_of) + 1) is None
    assert stored.predict_known(0, 1, as_of_day(past.as_of)) is None


def test_a_stored_list_is_not_computed_again(tiny_lake, monkeypatch):
    """Nothing as long as the catalogue is made for it; a filter or a new purchase is computed."""
    past = get("recommender").dataset(tiny_lake).extra["past"]
    known = histories(past.interactions)[0]
    model = als.fit_history(past, PLAIN).with_lists([known])
    computed = []
    scores = HistoryRecommender._scores
    monkeypatch.setattr(HistoryRecommender, "_scores", lambda *a: computed.append(1) or scores(*a))
    inputs = dict(zip(list(HISTORY)[:2], ([known.product_ids], [known.weights]), strict=True))
    inputs["history_view_counts"] = [known.interest]
    model.predict(inputs, {"k": [10]})
    assert not computed
    model.predict(inputs, {"k": [10], "include_repeats": [0.0]})
    model.predict({**inputs, "history_weights": [known.weights + 1]}, {"k": [10]})
    assert len(computed) == 2


def test_the_artifact_names_no_customer(tiny_lake, tmp_path, naming):
    """Stored lists are found by the history: forgetting a customer needs no new model."""
    use_case = get("recommender")
    data = use_case.dataset(tiny_lake)
    model = use_case.fit(data)
    model.save(tmp_path)
    artifact.write_golden(tmp_path, model, *use_case.example(data))
    assert naming(tmp_path) == []
