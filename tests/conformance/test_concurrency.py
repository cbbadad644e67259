"""Many clients at once: each gets the answer to its own question."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from contract import CLV, PRICING, PROPENSITY, RECOMMENDER, SEGMENTATION, every_rpc, told

CLIENTS = 64
ROUNDS = 3


def own_request(rpc, shop, number):
    """A request that no other client makes, with values of its own."""
    ask = {rpc.key: shop.ids(rpc.key)[number % len(shop.ids(rpc.key))]}
    if rpc is CLV:
        ask["features"] = {"monetary": 10.0 * number, "recency_days": number, "age": 20 + number}
    elif rpc is PROPENSITY:
        ask["features"] = {"age": 20 + number, "events_view_count": number, "uplift_mean": number / CLIENTS}
    elif rpc is SEGMENTATION:
        ask["features"] = {"monetary": 10.0 * number, "tx_count": 1 + number, "recency_days": number}
    elif rpc is RECOMMENDER:
        ask |= {"k": 1 + number % 20, "exclude_product_ids": shop.products[number % 7 :: 7]}
    else:
        ask |= {"min_price": 1.0 + number, "max_price": 1.0 + number, "features": {"units": number}}
    return rpc.unary.request(**ask)


def main_result(rpc, answer):
    """What an answer is about: a number, or the ids of products."""
    found = getattr(answer, rpc.result)
    return [int(item.product_id) for item in found] if rpc is RECOMMENDER else [found]


@pytest.fixture(scope="module")
def clients(connect):
    """A connection of its own for each client."""
    opened = [connect(options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(CLIENTS)]
    yield opened
    for channel in opened:
        channel.close()


@pytest.fixture(scope="module")
def at_once():
    """Runs a function with each client's number, all of them at the same time."""
    start = threading.Barrier(CLIENTS)

    def run(function):
        def begin(number):
            start.wait()
            return [function(number) for _ in range(ROUNDS)]

        with ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(begin, range(CLIENTS)))

    return run


@every_rpc
def test_nobody_gets_anothers_answer(channel, clients, at_once, shop, rpc):
    """64 clients with values of their own, asked all at once, are answered as each was alone before."""
    requests = [own_request(rpc, shop, number) for number in range(CLIENTS)]
    alone = [told(rpc.unary.on(channel)(request)) for request in requests]
    together = at_once(lambda number: rpc.unary.on(clients[number])(requests[number]))
    assert [[answer] * ROUNDS for answer in alone] == [[told(answer) for answer in answers] for answers in together]
    ids = {answer.metadata.prediction_id for answers in together for answer in answers}
    assert len(ids) == CLIENTS * ROUNDS
    if rpc is PRICING:
        assert [1.0 + number for number in range(CLIENTS)] == [answer["price_suggested"] for answer in alone]


@every_rpc
def test_batches_side_by_side_keep_their_items(channel, clients, at_once, shop, rpc):
    """Each client's batch is a part of its own of all requests."""
    requests = [own_request(rpc, shop, number) for number in range(CLIENTS)]
    alone = [main_result(rpc, result) for result in rpc.batch(channel, requests=requests).results]
    parts = [[(number + step) % CLIENTS for step in range(5)] for number in range(CLIENTS)]
    together = at_once(
        lambda number: rpc.batch(clients[number], requests=[requests[item] for item in parts[number]]).results
    )
    for part, answers in zip(parts, together, strict=True):
        for results in answers:
            for item, result in zip(part, results, strict=True):
                assert alone[item] == pytest.approx(main_result(rpc, result), rel=1e-5)


def test_refusals_go_to_who_asked_for_them(clients, at_once, shop):
    """Half of the clients ask for nobody, at the same time as the others for somebody."""

    def ask(number):
        asked = shop.buyers[0] if number % 2 else f"nobody {number}"
        result = CLV.batch(clients[number], customer_ids=[asked]).results[0]
        return result.customer_id == asked and result.HasField("error") == (number % 2 == 0)

    assert all(all(answers) for answers in at_once(ask))
