"""A challenger with a share of the customers: who they are, and batches that two models answer."""

from dataclasses import replace

import orjson
import pytest
from shopsphere.v1 import clv_pb2, clv_pb2_grpc, pricing_pb2, pricing_pb2_grpc

from grpc_server.canary import Canary
from grpc_server.state import Challenger
from training.constant import ConstantModel


def canary(state, percent, version=7):
    """A challenger of CLV that answers 42."""
    model = ConstantModel("clv", output="clv_180d", value=42.0, defaults={"monetary": 7.0})
    served = replace(state.models["clv"], model=model, version=version, alias="challenger", kind="baseline")
    return Challenger(served=served, percent=percent)


def chosen(state, percent, version=7):
    """Who of customers 0 to 9,999 is the challenger's."""
    one = Canary("clv", canary(state, percent, version), None, None)
    return {number for number in range(10_000) if one.chooses(str(number))}


def test_the_share_is_the_one_that_was_asked_for(state):
    """Within what chance allows: four standard errors."""
    for percent in (1, 10, 50, 99):
        share, error = len(chosen(state, percent)) / 10_000, (percent / 100 * (1 - percent / 100) / 10_000) ** 0.5
        assert abs(share - percent / 100) < 4 * error


def test_a_larger_share_keeps_the_customers_of_a_smaller_one(state):
    """Who has had the challenger's answers goes on having them."""
    assert chosen(state, 5) < chosen(state, 10) < chosen(state, 50)


def test_another_version_has_other_customers(state):
    """Nobody is the guinea pig of every trial."""
    assert len(chosen(state, 10) & chosen(state, 10, version=8)) < 200


def test_an_id_is_the_same_customer_however_it_is_written(state):
    """Leading zeros do not change sides; what is no id of the lake has a side, too."""
    one = Canary("clv", canary(state, 50), None, None)
    for number in range(100):
        assert one.chooses(str(number)) == one.chooses(f"{number:09}")
    assert {one.chooses(f"visitor-{number}") for number in range(100)} == {True, False}


@pytest.fixture
def on_trial(core, state):
    """The server's state with CLV's challenger for half of the customers; who of them is the challenger's."""
    _, holder, _ = core
    challenger = canary(state, 50)
    holder.swap(replace(state, challengers={"clv": challenger}))
    return Canary("clv", challenger, None, None).chooses


def records(tmp_path):
    """What was logged, by prediction id: alias, customer and answer."""
    lines = [line for path in sorted(tmp_path.glob("spool/*/*")) for line in path.read_bytes().splitlines()]
    found = {}
    for one in map(orjson.loads, (line for line in lines if line.startswith(b"{"))):
        for item, entity, answer in zip(one["ids"], one["entity_ids"], one["columns"]["clv_180d"], strict=True):
            found[item] = (one["alias"], one["model_version"], entity, answer)
    return found


def test_a_batch_is_answered_by_both(channel, on_trial, tmp_path):
    """In order, each item as if asked alone; the metadata says which are the challenger's, and so does the log."""
    ids = [str(number) for number in range(40)]
    columns = clv_pb2.ClvFeatureColumns(
        **{field.name: [1] * 40 for field in clv_pb2.ClvFeatureColumns.DESCRIPTOR.fields if field.name != "monetary"},
        monetary=[float(number) for number in range(40)],
    )
    call = clv_pb2_grpc.ClvServiceStub(channel).BatchPredictClv
    answer = call(clv_pb2.BatchPredictClvRequest(customer_ids=[*ids, "x" * 99], columns=clv_pb2.ClvFeatureColumns()))
    assert [result.error.reason for result in answer.results][-1] == "INVALID_FIELD"
    answer = call(clv_pb2.BatchPredictClvRequest(customer_ids=ids, columns=columns))
    mine = [item for item, entity in enumerate(ids) if on_trial(entity)]
    assert 0 < len(mine) < 40
    assert list(answer.metadata.challenger_items) == mine
    assert (answer.metadata.challenger.version, answer.metadata.challenger.alias) == (7, "challenger")
    assert (answer.metadata.model.version, answer.metadata.model.alias) == (3, "champion")
    assert [result.clv_180d for result in answer.results] == [
        42.0 if item in mine else float(item) for item in range(40)
    ]
    logged = records(tmp_path)
    for item, entity in enumerate(ids):
        told = logged[f"{answer.metadata.batch_id}-{item}"]
        assert told == (("challenger", 7, entity, 42.0) if item in mine else ("champion", 3, entity, float(item)))


def test_a_single_answer_names_the_model_that_gave_it(channel, on_trial):
    """Whether the customer is known or not, and whatever the request gives; the same one each time."""
    call = clv_pb2_grpc.ClvServiceStub(channel).PredictClv
    every = clv_pb2.ClvFeatures(**{field.name: 1 for field in clv_pb2.ClvFeatures.DESCRIPTOR.fields})
    for entity in [str(number) for number in range(1, 20)] * 2:
        requests = [clv_pb2.PredictClvRequest(customer_id=entity, features=every)]
        requests += [clv_pb2.PredictClvRequest(customer_id=entity)] * (entity in ("1", "2"))
        for request in requests:
            model = call(request).metadata.model
            assert (model.version, model.alias) == ((7, "challenger") if on_trial(entity) else (3, "champion"))


def test_a_canary_is_among_the_models_that_answer(core, on_trial):
    """In the metrics, until its trial is over."""
    _, holder, metrics = core
    shown = 'shopsphere_model_info{alias="challenger",use_case="clv",version="7"} 1.0'
    assert shown in metrics.text().decode()
    holder.swap(replace(holder.current, challengers={}))
    assert shown not in metrics.text().decode()


def test_other_use_cases_are_not_on_trial(channel, on_trial):
    """Their champion answers."""
    request = pricing_pb2.BatchSuggestPriceRequest(product_ids=["5", "5"])
    metadata = pricing_pb2_grpc.PricingServiceStub(channel).BatchSuggestPrice(request).metadata
    assert (metadata.model.alias, metadata.HasField("challenger")) == ("champion", False)
