"""Calls that end early: deadlines, cancellation, dropped connections; nothing of them stays behind."""

import itertools
import threading

import grpc
import pytest
from contract import CLV, RECOMMENDER, RPCS, code_of, wait_until
from raw_http2 import Connection, exchange, framed


@pytest.fixture
def heavy(shop):
    """A request that takes longer than any other: many long lists."""
    asked = list(itertools.islice(itertools.cycle(shop.buyers), 200))
    return RECOMMENDER.batch.request(customer_ids=asked, k=100)


@pytest.fixture(autouse=True)
def _nothing_stays(channel, shop, in_flight):
    """After each of these tests no call is in flight, and the server answers as before."""
    yield
    wait_until(lambda: not in_flight())
    assert CLV.unary(channel, customer_id=shop.customers[0]).metadata.prediction_id


def test_an_expired_deadline(channel, shop):
    """The client's library says so by itself."""
    for rpc in RPCS:
        request = rpc.unary.request(**{rpc.key: shop.ids(rpc.key)[0]})
        assert code_of(rpc.unary.on(channel), request, timeout=-1) == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("timeout", ["0n", "1n", "1u"])
def test_a_deadline_that_expires_on_its_way(address, heavy, timeout):
    """The server says DEADLINE_EXCEEDED, or ends the stream."""
    body = framed(heavy.SerializeToString())
    reply = exchange(address, RECOMMENDER.batch.path, body, grpc_timeout=timeout)
    assert reply.grpc_status == str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0]) or reply.ended == "reset"


def test_tiny_deadlines(channel, heavy):
    """Met or not, and nothing else."""
    for timeout in (0, 1e-9, 0.001, 0.002, 0.005, 0.01, 0.02):
        code = code_of(RECOMMENDER.batch.on(channel), heavy, timeout=timeout)
        assert code in ("OK", "DEADLINE_EXCEEDED")


def test_calls_that_their_client_cancels(channel, heavy):
    """At once, and while they are answered."""
    pause = threading.Event()
    calls = []
    for wait in (0, 0, 0.005, 0.02, 0.05):
        calls.append(RECOMMENDER.batch.on(channel).future(heavy))
        pause.wait(wait)
        calls[-1].cancel()
    assert {grpc.StatusCode.CANCELLED} >= {call.code() for call in calls} - {grpc.StatusCode.OK}


def test_streams_that_their_client_resets(address, heavy):
    """After the headers, in the middle of the message, and after all of it; the connection goes on."""
    body = framed(heavy.SerializeToString())
    with Connection(address) as connection:
        for length in (0, 3, len(body) // 2, len(body)):
            stream = connection.open(RECOMMENDER.batch.path)
            connection.send(stream, body[:length], end=length == len(body))
            connection.cancel(stream)
        stream = connection.open(RECOMMENDER.batch.path)
        connection.send(stream, body)
        assert connection.reply(stream).grpc_status == "0"


@pytest.mark.parametrize("share", [0, 0.5, 1], ids=["after the headers", "half way", "before the answer"])
def test_connections_that_break(address, heavy, share):
    """Twenty of them, without a goodbye."""
    body = framed(heavy.SerializeToString())
    for _ in range(20 if share < 1 else 5):
        with Connection(address) as connection:
            stream = connection.open(RECOMMENDER.batch.path)
            connection.send(stream, body[: int(len(body) * share)], end=share == 1)


def test_a_request_that_never_ends(address, shop):
    """It waits without being in flight; when its connection goes, it goes too."""
    with Connection(address) as connection:
        connection.open(CLV.unary.path)
        assert (
            exchange(
                address, CLV.unary.path, framed(CLV.unary.request(customer_id=shop.customers[0]).SerializeToString())
            ).grpc_status
            == "0"
        )


def test_channels_come_and_go(connect, shop):
    """Fifty, one after the other."""
    for _ in range(50):
        with connect(options=[("grpc.use_local_subchannel_pool", 1)]) as opened:
            assert CLV.unary(opened, customer_id=shop.customers[0]).metadata.prediction_id
