"""The REST shim: the same answers as gRPC, and an error of one shape for whatever is wrong."""

import gzip
import json
import socket
import urllib.parse

import httpx
import pytest
from contract import CLV, RPCS, WITH_FEATURES, every_rpc, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

PATHS = dict(
    zip(
        (rpc.use_case for rpc in RPCS),
        ("/score/clv", "/score/propensity", "/recommend", "/segment", "/price"),
        strict=True,
    )
)
MAX_BODY = 64 << 10


@pytest.fixture(scope="module")
def client(rest_address):
    """A client of the shim."""
    with httpx.Client(base_url=rest_address, timeout=30) as opened:
        yield opened


def post(client, path, body, **named):
    """The document that a body is answered with; its shape is checked."""
    content = body if isinstance(body, bytes) else json.dumps(body)
    return checked(client.post(path, content=content, **named))


def checked(response):
    """The document of a response, which says whether it is one of success in all places alike."""
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert (response.status_code == 200) == document["ok"] == (document.get("error") is None)
    if not document["ok"]:
        error = document["error"]
        assert all(error[name] for name in ("code", "reason", "message"))
        assert "Traceback" not in error["message"]
    return response.status_code, document


def fields(document):
    """The fields that an error names."""
    return [violation["field"] for violation in document["error"].get("violations", [])]


@every_rpc
@pytest.mark.parametrize("kind", [str, int])
def test_an_id_is_answered_as_over_grpc(channel, client, shop, rpc, kind):
    """The id as text or number; the result, warnings and model are the same, the answer has an id of its own."""
    for entity in shop.ids(rpc.key)[:5]:
        answer = rpc.unary(channel, **{rpc.key: entity})
        _, document = post(client, PATHS[rpc.use_case], {rpc.key: kind(entity)})
        assert (entity, answer.metadata.model.version) == (document[rpc.key], document["model_version"])
        assert [warning.code for warning in answer.metadata.warnings] == document["warnings"]
        assert answer.metadata.prediction_id != document["prediction_id"]
        if rpc.result == "items":
            told = [(item["product_id"], item["reason"]) for item in document["rec_list"]]
            assert [(item.product_id, item.reason) for item in answer.items] == told
        else:
            assert document[rpc.result] == pytest.approx(getattr(answer, rpc.result), rel=1e-5)
            assert document.get("reason") == getattr(answer, "reason", None)


@pytest.mark.parametrize("rpc", WITH_FEATURES, ids=lambda rpc: rpc.use_case)
def test_features_are_used_as_over_grpc(channel, client, shop, rpc):
    """All of them, given as JSON has them: whole numbers with a point too."""
    values = dict.fromkeys(rpc.features(), 1)
    answer = rpc.unary(channel, **{rpc.key: shop.ids(rpc.key)[0], "features": values})
    for written in (1, 1.0):
        body = {rpc.key: shop.ids(rpc.key)[0], "features": dict.fromkeys(values, written)}
        document = post(client, PATHS[rpc.use_case], body)[1]
        assert document[rpc.result] == pytest.approx(getattr(answer, rpc.result), rel=1e-5)


@every_rpc
def test_a_refusal_is_the_one_of_grpc(channel, client, rpc):
    """Code, reason, sentence and fields."""
    for entity in ("", "x" * 65, "nobody"):
        if (rpc.use_case, entity) == ("recommender", "nobody"):
            continue
        told = refusal(rpc.unary, channel, **{rpc.key: entity})
        status, document = post(client, PATHS[rpc.use_case], {rpc.key: entity})
        assert {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404}[told.code] == status
        error = document["error"]
        assert (told.code, told.reason, told.message) == (error["code"], error["reason"], error["message"])
        assert (entity, told.fields) == (document[rpc.key], fields(document))


@pytest.mark.parametrize("value", [1.5, 2**31, -(2**31) - 1, 1e300])
@pytest.mark.parametrize("rpc", WITH_FEATURES, ids=lambda rpc: rpc.use_case)
def test_a_count_is_a_whole_number(client, shop, rpc, value):
    """Of 32 bits, as over gRPC, where nothing else can be said."""
    whole = [name for name, found in rpc.features().items() if found.cpp_type == found.CPPTYPE_INT32]
    body = {rpc.key: shop.ids(rpc.key)[0], "features": dict.fromkeys(whole, value)}
    status, document = post(client, PATHS[rpc.use_case], body)
    assert (400, [f"features.{name}" for name in whole]) == (status, fields(document))


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/score/clv", {"customer_id": 1.0}, ["customer_id"]),
        ("/score/clv", {"customer_id": True}, ["customer_id"]),
        ("/score/clv", {"customer_id": None}, ["customer_id"]),
        ("/score/clv", {"customer_id": ["1"]}, ["customer_id"]),
        ("/score/clv", {"customer_id": {"id": 1}}, ["customer_id"]),
        ("/score/clv", {"customer_id": 1, "features": []}, ["features"]),
        ("/score/clv", {"customer_id": 1, "features": 0}, ["features"]),
        ("/score/clv", {"customer_id": 1, "features": "monetary"}, ["features"]),
        ("/score/clv", {"customer_id": 1, "features": {"monetary": "1"}}, ["features.monetary"]),
        ("/score/clv", {"customer_id": 1, "features": {"monetary": True}}, ["features.monetary"]),
        ("/score/clv", {"customer_id": 1, "features": {"monetary": 10**400}}, ["features.monetary"]),
        ("/score/clv", {"customer_id": 1, "features": {"x": 1}, "y": 2}, ["y", "features.x"]),
        ("/segment", {"customer_id": 1, "features": {"avg_qty": 1, "avg_quantity": 2}}, ["features.avg_qty"]),
        ("/recommend", {"customer_id": 1, "k": 2.0}, ["k"]),
        ("/recommend", {"customer_id": 1, "k": 10**100}, ["k"]),
        ("/recommend", {"customer_id": 1, "k": "3"}, ["k"]),
        ("/recommend", {"customer_id": 1, "features": {}}, ["features"]),
        ("/recommend", {"customer_id": 1, "categories": [1.5], "country": 1}, ["categories", "country"]),
        ("/price", {"product_id": 1, "min_price": "1", "max_price": []}, ["min_price", "max_price"]),
        ("/price", {"product_id": 1, "min_price": 2, "max_price": 1}, ["min_price", "max_price"]),
        ("/price", {"customer_id": 1}, ["customer_id"]),
        ("/score/propensity", {"customer_id": 1, "campaign_id": 1.5}, ["campaign_id"]),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(client, path, body, named):
    """A 400 with the fields; an id of a wrong type is not sent back."""
    status, document = post(client, path, body)
    assert (400, named) == (status, fields(document))
    assert document.get("customer_id", document.get("product_id")) in ("1", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1",
        b'"1"',
        b"{'customer_id': 1}",
        b'{"customer_id": 01}',
        b'{"customer_id": 1}{}',
        b'{"customer_id": "\xff"}',
        b'{"customer_id": "\xed\xa0\x80"}',
        b'{"customer_id": "\\ud800"}',
        b'{"customer_id": "1", "\\udfff": 1}',
        b'{"customer_id": 1' + b"0" * 5000 + b"}",
        '{"customer_id": 1}'.encode("utf-16"),
        b"[" * 20_000,
        b'{"customer_id":' * 4_000 + b"1" + b"}" * 4_000,
        gzip.compress(b'{"customer_id": 1}', mtime=0),
        b"x" * (MAX_BODY + 1),
        b"x" * (16 << 20),
    ],
    ids=lambda body: f"{len(body)} {body[:20]!r}",
)
def test_a_body_that_is_no_json_object_is_refused(client, shop, body):
    """Whatever it is instead: 400, and the field is the body; the next one is answered."""
    status, document = post(client, "/score/clv", body)
    assert (status, fields(document)) == (400, ["body"])
    assert post(client, "/score/clv", {"customer_id": shop.customers[0]})[0] == 200


def test_a_body_of_unknown_length_has_the_same_limit(client):
    """Sent in chunks."""
    response = client.post("/score/clv", content=(b"x" * 10_000 for _ in range(100)))
    assert (checked(response)[0], fields(response.json())) == (400, ["body"])


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
def test_the_content_type_does_not_matter(client, shop, content_type):
    """`curl -d` says form data."""
    headers = {"content-type": content_type} if content_type else {}
    assert post(client, "/score/clv", {"customer_id": shop.customers[0]}, headers=headers)[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/score", "/SCORE/CLV", "/score/clv/1", "/%00", "/%ff", "/" + "x" * 5000]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_told_the_known_ones(client, path, method):
    """404 in the shape of every error."""
    status, document = checked(client.request(method, path))
    assert (status, document["error"]["reason"]) == (404, "UNKNOWN_PATH")
    assert "/score/clv" in document["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [(method, path, "POST") for method in ("GET", "PUT", "DELETE", "OPTIONS") for path in PATHS.values()]
    + [("POST", path, "GET, HEAD") for path in ("/health", "/ready", "/metrics")],
)
def test_a_wrong_method_is_told_the_right_one(client, method, path, allowed):
    """405 with Allow, in the shape of every error."""
    response = client.request(method, path)
    assert (405, set(allowed.split(", "))) == (response.status_code, set(response.headers["allow"].split(", ")))
    assert checked(response)[1]["error"]["reason"] == "WRONG_METHOD"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["customer_id", "product_id", "features", "monetary", "units", "k", "min_price", "x"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(path=st.sampled_from(list(PATHS.values())), body=JSON | st.dictionaries(st.sampled_from(["customer_id"]), JSON))
@settings(max_examples=100)
def test_any_json_is_answered_or_refused(client, path, body):
    """Never as a fault of ours."""
    assert post(client, path, body)[0] in (200, 400, 404)


@given(body=st.binary(max_size=100))
@settings(max_examples=30)
def test_any_bytes_are_refused(client, body):
    """As no JSON object, or for what they lack."""
    assert post(client, "/score/clv", body)[0] == 400


def test_the_highest_price_is_no_fault_of_ours(client, shop):
    """JSON has no infinity."""
    status, _ = post(client, "/price", {"product_id": shop.products[0], "features": {"avg_price": 1.7e308}})
    assert status in (200, 400)


def test_connections_that_break_harm_nobody(rest_address, client, shop, new_in_log):
    """In the middle of headers, of a body, and before the answer; the log has no traceback of it."""
    url = urllib.parse.urlsplit(rest_address)
    head = b"POST /score/clv HTTP/1.1\r\nHost: shop\r\nContent-Length: 18\r\n\r\n"
    for said in (head[:20], head, head + b'{"customer', head + b'{"customer_id": 1}', b"\x16\x03\x01" * 100):
        for _ in range(5):
            with socket.create_connection((url.hostname, url.port), timeout=5) as opened:
                opened.sendall(said)
    assert post(client, "/score/clv", {"customer_id": shop.customers[0]})[0] == 200
    assert "Traceback" not in new_in_log()


def test_health_readiness_and_metrics(client, channel, shop):
    """The server is up, each service has its champion, and every call is counted by outcome and transport."""
    assert client.get("/health").json() == {"status": "ok"}
    ready = {"ready": True, "services": {rpc.use_case: True for rpc in RPCS}}
    assert ready.items() <= client.get("/ready").json().items()
    CLV.unary(channel, customer_id=shop.customers[0])
    post(client, "/score/clv", {"customer_id": "nobody"})
    lines = client.get("/metrics").text.splitlines()
    counted = [line for line in lines if line.startswith("shopsphere_requests_total") and 'method="PredictClv"' in line]
    assert any('code="OK"' in line and 'transport="grpc"' in line for line in counted)
    assert any('code="NOT_FOUND"' in line and 'transport="rest"' in line for line in counted)
