"""Answers made before anybody asks: they are the model's, and serve only the calls that they are about."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from grpc_server import precompute
from grpc_server.call import Call
from grpc_server.champions import POINTER, load_state, read_pointer
from grpc_server.forget import forget_served
from grpc_server.item_lists import items_of
from grpc_server.precompute import Precompute
from grpc_server.recommend_options import RecommendOptions
from grpc_server.row_drops import RowDrops
from grpc_server.state import State
from grpc_server.warm_up import unlogged
from training import artifact
from training.use_cases import get

OUTPUTS = {
    "clv": "clv_180d",
    "propensity": "prob_response",
    "segmentation": "cluster_id",
    "pricing": "price_suggested",
}
"""Of the use cases that read a row of features; lists are looked at apart."""
NAMES = (*OUTPUTS, "recommender")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_lake):
    """A server's folder with the rows of a small lake and trained models of all use cases."""
    serving = tmp_path_factory.mktemp("serving")
    folder, models = serving / "live", {}
    for name in NAMES:
        data, path = get(name).dataset(tiny_lake), folder / "models" / name / "1"
        model = get(name).fit(data)
        model.save(path)
        artifact.write_golden(path, model, *get(name).example(data))
        models[name] = entry(name, digest=artifact.digest(path))
    rows = RowDrops(folder, tiny_lake, as_of=None).look()
    point(folder, {**rows, "models": models, "challengers": {}, "refused": [], "precomputed": []})
    return serving


def entry(name, **tags):
    """What a pointer says of a model."""
    told = {"folder": f"models/{name}/1", "version": 1, "alias": "champion", "kind": "candidate", "metrics": {}}
    return {**told, "tags": tags, "created_at": datetime.now(UTC).isoformat(), "warnings": []}


def point(folder, pointer):
    """As the follower does."""
    (folder / POINTER).write_text(json.dumps(pointer))


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of it."""
    shutil.copytree(trained, tmp_path / "serving")
    return tmp_path / "serving" / "live"


def computed(folder):
    """Look until all is there; gives the number of looks and the state that a worker loads."""
    looks, follower = 0, Precompute(folder)
    found = []
    while len(found) < len(NAMES):
        looks += 1
        assert looks < 1000
        found = follower.look()["precomputed"]
        point(folder, {**read_pointer(folder), "precomputed": found})
    return looks, load_state(folder, read_pointer(folder), State())


def everybody(state, name="clv"):
    """The ids of all customers, or products."""
    snapshot = state.features[get(name).feature_table]
    return [str(one) for one in snapshot.arrays()[snapshot.key].tolist()]


def ask(state, name, entity_ids, **more):
    """The main answers about some customers, one call each and as one batch, which must agree."""
    predictor, main = unlogged(state), OUTPUTS[name]
    alone = [predictor.predict(Call(use_case=name, entity_ids=[one], **more)).outputs[main][0] for one in entity_ids]
    whole = predictor.predict(
        Call(use_case=name, entity_ids=entity_ids, **{key: value * len(entity_ids) for key, value in more.items()})
    )
    assert alone == pytest.approx(list(whole.outputs[main]), rel=1e-6)
    return alone


@pytest.mark.parametrize("name", OUTPUTS)
def test_they_are_what_the_model_answers(name, folder):
    """About every customer or product, in calls and in batches, text and all."""
    _, state = computed(folder)
    asked, ids = replace(state, precomputed={}), everybody(state, name)

    assert (name, 1) in state.precomputed
    assert ask(state, name, ids) == pytest.approx(ask(asked, name, ids), rel=1e-5)
    batch = Call(use_case=name, entity_ids=ids)
    found, wanted = (unlogged(one).predict(batch).outputs for one in (state, asked))
    texts = [output for output in wanted if isinstance(wanted[output][0], str)]
    assert [list(found[output]) for output in texts] == [list(wanted[output]) for output in texts]
    single = unlogged(state).predict(Call(use_case=name, entity_ids=ids[:1])).outputs
    assert [single[output][0] for output in texts] == [wanted[output][0] for output in texts]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_call_about_more_than_an_id_is_the_models(name, folder):
    """Overrides, explanations, bounds and a campaign of the request's choice have no precomputed answer."""
    _, state = computed(folder)
    table = np.full_like(state.precomputed[name, 1], 99)
    wrong = replace(state, precomputed={(name, 1): table})
    one, predictor, main = everybody(state, name)[0], unlogged(wrong), OUTPUTS[name]

    def answer(**more):
        return predictor.predict(Call(use_case=name, entity_ids=[one], **more)).outputs[main][0]

    assert answer() == 99
    assert answer(explain=True) != 99
    assert answer(overrides={"avg_price" if name == "pricing" else "monetary": np.array([5.0])}) != 99
    if name == "pricing":
        assert answer(max_price=np.array([0.5])) == 0.5
    if name == "propensity":
        campaign = predictor.predict(Call(use_case=name, entity_ids=[one])).campaign_ids[0]
        assert answer(campaign_ids=[campaign]) != 99
        assert ask(wrong, name, [one], campaign_ids=[campaign])[0] != 99


def test_a_list_is_what_the_model_answers(folder):
    """Of any customer and of any length, in calls and in batches."""
    _, state = computed(folder)
    asked, ids = replace(state, precomputed={}), everybody(state, "recommender")
    for k in (None, 1, 3, 10, 12):
        call = Call(use_case="recommender", entity_ids=ids, k=[k] * len(ids))
        found, wanted = (unlogged(one).predict(call) for one in (state, asked))
        assert lists(found) == lists(wanted)
        assert scores(found) == pytest.approx(scores(wanted), rel=1e-4)
        for number, one in enumerate(ids[:20]):
            alone = unlogged(state).predict(Call(use_case="recommender", entity_ids=[one], k=[k]))
            assert lists(alone)[0] == lists(wanted)[number]


@pytest.mark.parametrize("more", [{"include_repeats": False}, {"exclude_product_ids": ("5",)}, {"country": "US"}])
def test_a_list_with_a_wish_is_the_models(more, folder):
    """The table has answers to plain calls alone; so has a list that is longer than those in it."""
    _, state = computed(folder)
    table = state.precomputed["recommender", 1]
    wrong = replace(state, precomputed={("recommender", 1): np.roll(table, 1)})
    first, last = (everybody(state, "recommender")[place] for place in (0, -1))

    def answer(asked, customer, **given):
        return lists(unlogged(asked).predict(Call(use_case="recommender", entity_ids=[customer], **given)))[0]

    assert answer(wrong, first) == answer(state, last) != answer(state, first)
    assert answer(wrong, first, recommend=[RecommendOptions(**more)]) != answer(wrong, first)
    assert answer(wrong, first, k=[11])[:10] == answer(state, first)


def lists(answers):
    """Products and reasons of each item."""
    return [[(item.product_id, item.reason) for item in items_of(one)] for one in answers.outputs["items"]]


def scores(answers):
    """Of all items; they differ in their last bits with who else is asked about."""
    return [item.score for one in answers.outputs["items"] for item in items_of(one)]


def test_the_follower_looks_around_between_pieces(folder, monkeypatch):
    """Many customers take many looks; the last one has the whole table."""
    monkeypatch.setattr(precompute, "ROWS", 100)
    monkeypatch.setattr(precompute, "SECONDS", 0.0)

    looks, state = computed(folder)

    assert looks > 2
    assert {name: len(table) for (name, _), table in state.precomputed.items()} == {
        name: len(everybody(state, name)) for name in NAMES
    }


def test_what_nobody_wants_any_more_is_left_unfinished(folder, monkeypatch):
    """Another version has come before the table was whole."""
    monkeypatch.setattr(precompute, "ROWS", 1)
    monkeypatch.setattr(precompute, "SECONDS", 0.0)
    follower, pointer = Precompute(folder), read_pointer(folder)
    follower.look()
    point(folder, {**pointer, "models": {}})

    assert follower.look() == {"precomputed": []}
    assert not list(folder.glob("features/*/*/precomputed-*.npy"))


def test_a_forgotten_customer_is_in_no_table(folder):
    """Rows move up when one is taken out: the table goes with the snapshot, and another's is not used."""
    _, state = computed(folder)
    table = next(folder.glob("features/*/*/precomputed-clv-*.npy"))
    kept = table.read_bytes()
    first, second = everybody(state)[:2]
    value = ask(state, "clv", [second])

    assert forget_served(folder.parent, int(first))
    assert not table.exists()
    table.write_bytes(kept)
    after = load_state(folder, read_pointer(folder), State())

    assert ("clv", 1) not in after.precomputed
    assert ask(after, "clv", [second]) == pytest.approx(value, rel=1e-5)


@pytest.fixture
def unhurried(monkeypatch):
    """One look is enough, however busy the machine."""
    monkeypatch.setattr(precompute, "SECONDS", 600.0)


@pytest.mark.usefixtures("unhurried")
def test_a_model_that_is_refused_has_none(folder):
    """The worker refuses it too; the others have theirs."""
    pointer = read_pointer(folder)
    point(folder, {**pointer, "models": {**pointer["models"], "clv": entry("clv", digest="another")}})
    follower = Precompute(folder)

    found = [follower.look()["precomputed"] for _ in range(2)]

    assert found[0] == found[1]
    assert len(found[1]) == len(NAMES) - 1
    assert not any("-clv-" in path for path in found[1])


@pytest.mark.usefixtures("unhurried")
def test_only_who_answers_has_one(folder):
    """A challenger in the shadow is asked by nobody; a canary is."""
    pointer = read_pointer(folder)
    models = {"propensity": pointer["models"]["propensity"]}
    looked = {}
    for percent in (0, 10):
        challengers = {"clv": {**pointer["models"]["clv"], "percent": percent}}
        point(folder, {**pointer, "models": models, "challengers": challengers})
        looked[percent] = Precompute(folder).look()["precomputed"]

    assert [len(paths) for paths in looked.values()] == [1, 2]
