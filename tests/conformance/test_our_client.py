"""Our own client, from Python and as `shopsphere predict`: what it cannot ask is one sentence, never a traceback."""

import json
import math

import pytest
import typer
from contract import PRICING, RPCS, same
from google.protobuf.json_format import ParseDict
from typer.testing import CliRunner

from grpc_server.client import Client, ServerError
from grpc_server.client_cli import register
from lakehouse.errors import ShopSphereError

METHODS = ("clv", "propensity", "recommend", "segment", "price")


@pytest.fixture(scope="module")
def client(address):
    """A client of the server under test."""
    with Client(address) as opened:
        yield opened


@pytest.fixture(scope="module")
def predict(address):
    """Runs `shopsphere predict` against the server under test; what the entry point prints as one line is raised."""
    app = typer.Typer()
    register(app)
    return lambda *words: CliRunner().invoke(app, [*words, "--address", address], catch_exceptions=False)


def test_the_command_takes_what_a_recommendation_may_ask(predict, client, shop):
    """Each option is the request's field."""
    customer, (first, second, *_) = shop.buyers[0], shop.products
    options = {"include_repeats": False, "exclude_product_ids": [first], "recent_product_ids": [second], "k": 3}
    words = ["--no-repeats", "--exclude", first, "--recent", second, "--k", "3"]
    printed = json.loads(predict("recommender", customer, *words).stdout)
    asked = client.recommend(customer, **options)
    assert [item["product_id"] for item in asked["items"]] == [item["product_id"] for item in printed["items"]]
    assert not json.loads(predict("recommender", customer, "--category", "no such").stdout)["items"]


@pytest.mark.parametrize(("rpc", "method"), list(zip(RPCS, METHODS, strict=True)), ids=METHODS)
def test_the_command_prints_what_the_client_gives(client, predict, shop, rpc, method):
    """With the names of the proto, fields without a value included."""
    entity = shop.ids(rpc.key)[0]
    answer = getattr(client, method)(entity)
    printed = json.loads(predict(rpc.use_case, entity).stdout)
    assert entity == answer[rpc.key] == printed[rpc.key]
    first, second = (ParseDict(told, rpc.unary.response()) for told in (answer, printed))
    assert same(getattr(first, rpc.result), getattr(second, rpc.result))
    assert {field.name for field in rpc.unary.response.DESCRIPTOR.fields if not field.has_presence} <= set(printed)


def test_a_batch_of_any_length_comes_back_in_order(client, shop):
    """More than 1,000 are several calls; none is none."""
    asked = [f"nobody {number}" for number in range(1500)] + shop.customers[:2]
    for rpc in RPCS:
        entities = shop.products if rpc is PRICING else asked
        assert entities == [result[rpc.key] for result in client.batch(rpc.use_case, entities)]
    assert client.batch("clv", []) == []


@pytest.mark.parametrize("value", [1.5, math.nan, math.inf, 2**31, 1e30])
def test_a_count_is_not_cut_to_a_whole_number(client, shop, value):
    """It is refused with its name."""
    with pytest.raises(ServerError, match="tx_count"):
        client.clv(shop.customers[0], tx_count=value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"k": 2**31}, "k"),
        ({"k": "three"}, "k"),
        ({"categories": "Toys"}, "categories"),
        ({"include_repeats": "yes"}, "include_repeats"),
        ({"flavour": 1}, "flavour.*include_repeats"),
        ({"country": "\ud800"}, "country"),
    ],
    ids=str,
)
def test_an_option_that_no_request_can_hold_is_named(client, shop, options, named):
    """A text is no list of texts either."""
    with pytest.raises(ServerError, match=named):
        client.recommend(shop.customers[0], **options)


def test_an_id_is_text(client):
    """Of characters that can be sent."""
    for wrong in (1, None, "\ud800"):
        with pytest.raises(ServerError, match="customer_id"):
            client.clv(wrong)


def test_an_unknown_use_case_is_told_the_known_ones(client):
    """Of a batch."""
    with pytest.raises(ShopSphereError, match="recommender"):
        client.batch("nothing", ["1"])


@pytest.mark.parametrize(
    "target", ["127.0.0.1:1", "", "no such host:1", "http://127.0.0.1:50051", "127.0.0.1:99999", ":::", "x" * 300]
)
def test_where_nobody_answers_the_address_is_named(target):
    """Whatever is wrong with it."""
    with Client(target) as client, pytest.raises(ServerError, match="nothing answers at"):
        client.models()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("clv", "1", "--feature", "tx_count=1.5"), "tx_count"),
        (("clv", "1", "--feature", "monetary=nan"), "features.monetary"),
        (("clv", "\udcff"), "customer_id"),
        (("recommender", "1", "--k", "3000000000"), "k"),
        (("recommender", "1", "--k", "0"), "k must be 1 to 1000"),
        (("clv", "1", "--feature", "spend=1"), "spend.*monetary"),
        (("nothing", "1"), "recommender"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_one_sentence(predict, words, named):
    """Of the command, which the entry point prints."""
    with pytest.raises(ShopSphereError, match=named):
        predict(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("clv", "1", "--k", "3"),
        ("clv", "1", "--campaign-id", "1"),
        ("clv", "1", "--max-price", "1"),
        ("recommender", "1", "--feature", "age=1"),
        ("segmentation", "1", "--unit-cost", "1"),
        ("clv", "1", "--feature", "age"),
    ],
    ids=str,
)
def test_an_option_of_another_use_case_is_wrong_usage(predict, words):
    """Rather than left unread."""
    result = predict(*words)
    assert (result.exit_code, words[2] in result.output) == (2, True)
