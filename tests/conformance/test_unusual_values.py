"""Values at and beyond the edges: ids, counts, numbers."""

import math

import grpc
import pytest
from contract import CLV, PRICING, RECOMMENDER, WITH_FEATURES, code_of, every_rpc, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

FULLWIDTH = str.maketrans("0123456789", "０１２３４５６７８９")  # noqa: RUF001 (that is the point)
LOWEST, HIGHEST = -(2**31), 2**31 - 1


@pytest.mark.parametrize(
    "text",
    [
        "+{}",
        "-{}",
        " {}",
        "{} ",
        "{}\n",
        "{}\0",
        "\0{}",
        "{}.0",
        "{}e0",
        "0x{}",
        "{}_0",
        "'{}'",
        "9223372036854775808",
        "18446744073709551617",
        "340282366920938463463374607431768211457",
        "nan",
        "null",
        "\0",
        " ",
        "é",
        "😀" * 64,
        "x" * 64,
    ],
)
def test_what_only_looks_like_an_id_is_unknown(channel, shop, text):
    """No sign, space, NUL or overflow leads to somebody's answer; 64 characters of any script are an id."""
    asked = text.format(shop.customers[0])
    told = refusal(CLV.unary, channel, customer_id=asked)
    assert ("NOT_FOUND", ("customer", asked)) == (told.code, told.resource)
    assert "cold_start" in [
        warning.code for warning in RECOMMENDER.unary(channel, customer_id=asked, k=1).metadata.warnings
    ]


def test_digits_of_other_scripts_are_no_number(channel, shop):
    """Although Python would take them."""
    assert refusal(CLV.unary, channel, customer_id=shop.customers[0].translate(FULLWIDTH)).code == "NOT_FOUND"


@every_rpc
def test_leading_zeros_do_not_make_another_id(channel, shop, rpc):
    """The lake's ids are numbers: padded ones in a client's files mean the same, and are repeated as asked."""
    entity = shop.ids(rpc.key)[0]
    plain, padded = (rpc.unary(channel, **{rpc.key: text}) for text in (entity, f"00{entity}"))
    assert f"00{entity}" == getattr(padded, rpc.key)
    assert getattr(plain, rpc.result) == getattr(padded, rpc.result)


@every_rpc
@pytest.mark.parametrize("text", ["x" * 65, "😀" * 65, "1" * 65, "\0" * 65, "x" * 1_000_000])
def test_an_id_has_64_characters_at_most(channel, rpc, text):
    """Characters, not bytes; and a long one is not sent back."""
    told = refusal(rpc.unary, channel, **{rpc.key: text})
    assert ("INVALID_ARGUMENT", [rpc.key]) == (told.code, told.fields)
    assert text not in told.message


@given(text=st.text(max_size=70))
@settings(max_examples=50)
def test_any_text_may_be_asked_for(channel, shop, text):
    """It is answered as asked, unknown, or of a wrong length."""
    allowed = ("OK", "NOT_FOUND") if 0 < len(text) <= 64 else ("INVALID_ARGUMENT",)
    assert code_of(CLV.unary.on(channel), CLV.unary.request(customer_id=text)) in allowed


@pytest.mark.parametrize(
    ("k", "count"), [(1, 1), (2, 2), (None, 10), (1000, None), (0, 0), (1001, 0), (-1, 0), (LOWEST, 0), (HIGHEST, 0)]
)
def test_k_is_from_1_to_1000(channel, shop, k, count):
    """10 where it is absent; all products that there are where more are wanted."""
    if count == 0:
        told = refusal(RECOMMENDER.unary, channel, customer_id=shop.buyers[0], k=k)
        assert (told.code, told.fields) == ("INVALID_ARGUMENT", ["k"])
    else:
        items = RECOMMENDER.unary(channel, customer_id=shop.buyers[0], k=k).items
        assert (len(items) == count) if count else (len(items) >= len(shop.products))


def numbers(rpc):
    """Some of a request's features with values that their types can hold, within their ranges or not."""
    whole = st.sampled_from([LOWEST, -1, 0, 1, 3, 130, HIGHEST]) | st.integers(LOWEST, HIGHEST)
    edges = st.sampled_from([-0.0, 0.0, 5e-324, 1.0, 2.0**53, 1e38, 1e39, 1e300, -1e300])
    real = edges | st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf, -math.inf])
    kinds = {name: whole if found.cpp_type == found.CPPTYPE_INT32 else real for name, found in rpc.features().items()}
    return st.fixed_dictionaries({}, optional=kinds)


@given(data=st.data())
@settings(max_examples=100)
def test_any_number_is_answered_or_refused(channel, shop, data):
    """Answers stay finite, and within their range."""
    rpc = data.draw(st.sampled_from(WITH_FEATURES))
    features = data.draw(numbers(rpc))
    request = rpc.unary.request(**{rpc.key: shop.ids(rpc.key)[0], "features": features})
    try:
        answer = rpc.unary.on(channel)(request)
    except grpc.RpcError as error:
        assert error.code().name == "INVALID_ARGUMENT"
        return
    found = {entry.name: value for entry, value in answer.ListFields() if isinstance(value, float)}
    assert [name for name, value in found.items() if not math.isfinite(value)] == []
    assert rpc.use_case == "segmentation" or getattr(answer, rpc.result) >= 0
    assert set(features) == set(answer.metadata.request_features)


@pytest.mark.parametrize("given", [{"features": {"avg_price": 1.7e308}}, {"unit_cost": 1.7e308}], ids=str)
def test_the_highest_prices_stay_finite(channel, shop, given):
    """Or are refused."""
    try:
        assert math.isfinite(PRICING.unary(channel, product_id=shop.products[0], **given).price_suggested)
    except grpc.RpcError as error:
        assert error.code().name == "INVALID_ARGUMENT"
