"""What travels beside messages: request metadata, and the trailers of answers and refusals."""

import grpc
import pytest
from contract import CLV, code_of, every_rpc, refusal
from raw_http2 import exchange, framed


@pytest.mark.parametrize(
    "metadata",
    [
        (("x-request-id", "7"),),
        (("x-request-id", "7"), ("x-request-id", "8")),
        (("x-empty", ""),),
        (("x-trace-bin", bytes(range(256))),),
        (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("authorization", "Bearer x")),
        (("x-long", "a" * 4000),),
        tuple((f"x-{number}", "a") for number in range(50)),
    ],
    ids=["text", "twice", "empty", "binary", "usual names", "long", "many"],
)
def test_unknown_metadata_is_ignored(channel, shop, metadata):
    """The answer is the same."""
    request = CLV.unary.request(customer_id=shop.customers[0])
    plain, beside = (CLV.unary.on(channel)(request, metadata=given) for given in ((), metadata))
    assert plain.clv_180d == beside.clv_180d


@pytest.mark.parametrize("size", [20_000, 200_000, 2_000_000])
def test_huge_metadata_is_refused(channel, shop, size):
    """With a status, and the next call is answered; a little too much may pass."""
    request = CLV.unary.request(customer_id=shop.customers[0])
    assert code_of(CLV.unary.on(channel), request, metadata=(("x-huge", "a" * size),)) != "OK"
    assert code_of(CLV.unary.on(channel), request) == "OK"


def test_much_metadata_in_small_pieces_is_refused(channel, shop):
    """Its sum counts."""
    request = CLV.unary.request(customer_id=shop.customers[0])
    metadata = tuple((f"x-{number}", "a" * 100) for number in range(5000))
    assert code_of(CLV.unary.on(channel), request, metadata=metadata) != "OK"
    assert code_of(CLV.unary.on(channel), request) == "OK"


@every_rpc
def test_a_refusals_status_is_in_its_trailers(channel, address, rpc):
    """As grpc-status, grpc-message and grpc-status-details-bin, without a message before them."""
    reply = exchange(address, rpc.unary.path, framed(b""))
    assert (str(grpc.StatusCode.INVALID_ARGUMENT.value[0]), b"") == (reply.grpc_status, reply.body)
    assert {"grpc-message", "grpc-status-details-bin"} <= set(reply.headers)


def test_a_refusal_repeats_any_script(channel):
    """The sentence comes through as it was written, control characters escaped."""
    told = refusal(CLV.unary, channel, customer_id="Łódź 東京 😀\n%41")
    assert "'Łódź 東京 😀\\n%41'" in told.message
    assert told.resource == ("customer", "Łódź 東京 😀\n%41")


def test_an_answer_has_the_trailer_ok_and_no_details(channel, shop):
    """Nothing that a client would take for an error."""
    _, call = CLV.unary.on(channel).with_call(CLV.unary.request(customer_id=shop.customers[0]))
    assert (call.code(), call.details() or "") == (grpc.StatusCode.OK, "")
    assert "grpc-status-details-bin" not in {key for key, _ in call.trailing_metadata()}
