"""Messages that are too big, cut off, compressed, or no messages at all."""

import gzip

import grpc
import pytest
from contract import CLV, METHODS, RPCS, code_of, every_method, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http2 import exchange, framed

LIMIT = 4 << 20
JUDGED = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION")
UNREADABLE = ("INVALID_ARGUMENT", "UNREADABLE_REQUEST")


@pytest.fixture(autouse=True)
def _lives_on(channel, shop):
    """After each of these tests the server answers as before."""
    yield
    assert CLV.unary(channel, customer_id=shop.customers[0]).metadata.prediction_id


@every_method
@pytest.mark.parametrize(
    "broken",
    [b"\xff\xff\xff", b"\x0a\x05abc", b"\x0a\x01\xff", b"\x0a", b"\x0b" * 10_000, b"\x07", b"\x0a\xff\xff\xff\xff\x0f"],
    ids=["no tags", "cut off", "no UTF-8", "no length", "deep groups", "no wire type", "4 GiB long"],
)
def test_bytes_that_are_no_message_are_the_clients_fault(channel, method, broken):
    """INVALID_ARGUMENT with a reason, whatever the method; bytes of unknown fields are ignored."""
    call = method.bytes_on(channel)
    if method.request.DESCRIPTOR.fields or broken != b"\x0a\x01\xff":
        told = refusal(call, broken)
        assert (told.code, told.reason) == UNREADABLE
    else:
        assert code_of(call, broken) == "OK"


@given(method=st.sampled_from(METHODS), content=st.binary(max_size=300))
@settings(max_examples=150)
def test_any_bytes_get_a_judgement(channel, method, content):
    """Never INTERNAL or UNKNOWN, and never an exception's text."""
    assert code_of(method.bytes_on(channel), content) in JUDGED


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.use_case)
def test_a_request_may_be_cut_anywhere(channel, shop, rpc):
    """What is left is a shorter request, or none."""
    given = {"features": dict.fromkeys(rpc.features(), 1)} if rpc.features() else {"k": 3, "country": "US"}
    whole = rpc.unary.request(**{rpc.key: shop.ids(rpc.key)[0]}, **given).SerializeToString()
    for length in range(len(whole)):
        assert code_of(rpc.unary.bytes_on(channel), whole[:length]) in JUDGED


def of_size(size):
    """A request of exactly that many bytes."""
    rest = CLV.unary.request(customer_id="x" * (1 << 20)).ByteSize() - (1 << 20) + 1  # the length takes four bytes
    request = CLV.unary.request(customer_id="x" * (size - rest)).SerializeToString()
    assert size == len(request)
    return request


def test_4_mib_are_read_and_judged(channel):
    """The limit itself is within it."""
    assert refusal(CLV.unary.bytes_on(channel), of_size(LIMIT)).fields == ["customer_id"]


@pytest.mark.parametrize("size", [LIMIT + 1, 3 * LIMIT])
def test_more_than_4_mib_are_refused(channel, size):
    """RESOURCE_EXHAUSTED, and the connection goes on."""
    assert code_of(CLV.unary.bytes_on(channel), of_size(size)) == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_requests_may_be_compressed(connect, shop, compression):
    """The answer is the same."""
    request = CLV.batch.request(customer_ids=shop.customers)
    with connect(compression=compression) as packed, connect() as plain:
        answers = [CLV.batch.on(opened)(request).results for opened in (packed, plain)]
    assert list(answers[1]) == list(answers[0])


def test_what_unpacks_to_more_than_4_mib_is_refused(address):
    """However small it was on the wire: 64 MiB of one letter are 64 KiB."""
    bomb = gzip.compress(of_size(16 * LIMIT))
    assert len(bomb) < LIMIT / 32
    reply = exchange(address, CLV.unary.path, framed(bomb, compressed=True), grpc_encoding="gzip")
    assert str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]) == reply.grpc_status


def test_what_cannot_be_unpacked_is_refused(address):
    """Of a known encoding and of one that nobody knows, and where the flag is set without an encoding."""
    for encoding in ("gzip", "deflate", "snappy", None):
        reply = exchange(address, CLV.unary.path, framed(b"junk", compressed=True), grpc_encoding=encoding)
        assert reply.grpc_status not in ("", "0")
