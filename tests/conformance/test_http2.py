"""Below gRPC's libraries: headers, prefixes and connections that no library would send."""

import socket

import pytest
from contract import CLV
from raw_http2 import Connection, exchange, framed

OK = "0"


@pytest.fixture(scope="module")
def asked(shop):
    """A good request, with its prefix."""
    return framed(CLV.unary.request(customer_id=shop.customers[0]).SerializeToString())


@pytest.fixture(autouse=True)
def _lives_on(address, asked):
    """After each of these tests a new connection is answered as before."""
    yield
    assert exchange(address, CLV.unary.path, asked).grpc_status == OK


def test_a_plain_call(address, asked):
    """HTTP 200, gRPC's content type, one message, status 0 in the trailers."""
    reply = exchange(address, CLV.unary.path, asked)
    assert (reply.http_status, reply.grpc_status, reply.ended) == ("200", OK, "end")
    assert reply.headers["content-type"].startswith("application/grpc")
    assert CLV.unary.response.FromString(reply.message).metadata.prediction_id


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto"])
def test_content_types_of_grpc(address, asked, content_type):
    """With the encoding named or not."""
    assert exchange(address, CLV.unary.path, asked, content_type=content_type).grpc_status == OK


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "application/grpc+thrift", "", None])
def test_another_content_type_does_no_harm(address, asked, content_type):
    """A server says 415 or a gRPC status; either is an answer, and never INTERNAL."""
    reply = exchange(address, CLV.unary.path, asked, content_type=content_type)
    assert reply.http_status == "415" or reply.grpc_status not in ("", "2", "13")


@pytest.mark.parametrize(
    "headers",
    [
        {"method": "GET"},
        {"method": "PUT"},
        {"te": None},
        {"path": "/"},
        {"path": "/shopsphere.v1.ClvService/"},
        {"path": "/" + "a" * 5000},
        {"grpc_timeout": "abc"},
        {"grpc_timeout": "-1S"},
        {"grpc_timeout": "1"},
        {"grpc_encoding": "snappy"},
        {"x_bin": "!!!"},
    ],
    ids=str,
)
def test_wrong_headers_end_the_call_only(address, asked, headers):
    """It has no OK, and the connection serves the next call."""
    with Connection(address) as connection:
        wrong = connection.open(**{"path": CLV.unary.path, **headers})
        connection.send(wrong, asked)
        reply = connection.reply(wrong)
        assert reply.grpc_status != OK
        assert reply.ended in ("end", "reset")
        right = connection.open(CLV.unary.path)
        connection.send(right, asked)
        assert connection.reply(right).grpc_status == OK


@pytest.mark.parametrize("timeout", ["99999999H", "10S", "60000m", "60000000u"])
def test_deadlines_in_every_unit(address, asked, timeout):
    """Also one that is thousands of years away."""
    assert exchange(address, CLV.unary.path, asked, grpc_timeout=timeout).grpc_status == OK


@pytest.mark.parametrize(
    "body",
    [b"", b"\0\0", b"\0\0\0\0\x05", b"\0\0\0\0\x05abc", b"\x07\0\0\0\x01a", b"\x01\0\0\0\x01a"],
    ids=["nothing", "half a prefix", "no message", "half a message", "an unknown flag", "no encoding"],
)
def test_a_body_without_one_whole_message_has_a_status(address, body):
    """And not OK: a unary call takes exactly one."""
    reply = exchange(address, CLV.unary.path, body)
    assert (reply.http_status, reply.ended) == ("200", "end")
    assert reply.grpc_status not in ("", OK)


def test_a_length_of_4_gib_is_refused_at_once(address):
    """RESOURCE_EXHAUSTED, without waiting for what will never come."""
    assert exchange(address, CLV.unary.path, b"\0\xff\xff\xff\xff" + b"abc").grpc_status == "8"


@pytest.mark.parametrize("rest", ["a second message", "junk"])
def test_what_follows_the_message_does_not_change_its_answer(address, asked, rest):
    """It is ignored or refused."""
    reply = exchange(address, CLV.unary.path, asked + (asked if rest == "a second message" else b"zz"))
    assert reply.grpc_status in (OK, "3", "12", "13")


def test_the_end_of_the_request_may_come_later(address, asked):
    """A message in single bytes, and END_STREAM in a frame of its own."""
    with Connection(address) as connection:
        stream = connection.open(CLV.unary.path)
        for place in range(len(asked)):
            connection.send(stream, asked[place : place + 1], end=False)
        connection.send(stream, b"")
        assert connection.reply(stream).grpc_status == OK


def test_calls_share_a_connection(address, asked):
    """A hundred at once, each on a stream of its own; one that never ends holds up none of them."""
    with Connection(address) as connection:
        connection.open(CLV.unary.path)
        streams = [connection.open(CLV.unary.path) for _ in range(99)]
        for stream in streams:
            connection.send(stream, asked)
        assert [connection.reply(stream).grpc_status for stream in streams] == [OK] * 99


def test_a_client_that_does_not_read_holds_nobody_up(address, asked):
    """Its answers wait for room; others are answered meanwhile."""
    with Connection(address, window=0) as stuck:
        for _ in range(32):
            stuck.send(stuck.open(CLV.unary.path), asked)
        assert exchange(address, CLV.unary.path, asked).grpc_status == OK


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + b"\0\0\0\x04\0\0\0\0\0"
        + b"\0\0\x05\x01\x04\0\0\0\x01\xff\xff\xff\xff\xff",
        b"\0" * 10_000,
    ],
    ids=["nothing", "HTTP/1.1", "TLS", "no frames", "no HPACK", "zeros"],
)
def test_who_speaks_no_http2_harms_nobody(address, said):
    """Twenty such connections, dropped."""
    host, _, port = address.rpartition(":")
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=5) as opened:
            opened.sendall(said)
