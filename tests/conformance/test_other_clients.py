"""Clients that are not ours: grpcurl without any file, grpc-js from the .proto files, h2load for many calls."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from contract import CLV, RECOMMENDER, RPCS, SERVICES, every_rpc
from google.protobuf import json_format
from google.rpc import status_pb2
from raw_http2 import framed

GRPCURL = Path(sys.executable).with_name("grpcurl")
PROTOS = Path(__file__).parents[2] / "proto"
PACKAGES = ("@grpc/grpc-js", "@grpc/proto-loader")


def run(*command, **options):
    """A finished process, its output as text."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, **options)


def main_result(rpc, answer):
    """What an answer is about: a number, or the ids of products."""
    found = answer[rpc.result] if isinstance(answer, dict) else getattr(answer, rpc.result)
    if rpc is RECOMMENDER:
        return [item["product_id"] if isinstance(item, dict) else item.product_id for item in found]
    return found


@pytest.fixture(scope="module")
def grpcurl(address):
    """Runs grpcurl against the server under test, whose reflection tells it what there is."""

    def curl(*words, body=None):
        given = ("-d", json.dumps(body)) if body is not None else ()
        return run(GRPCURL, "-plaintext", "-emit-defaults", *given, address, *words)

    return curl


def test_grpcurl_lists_and_describes(grpcurl):
    """Services, methods, and messages with their comments' fields."""
    assert set(SERVICES) <= set(grpcurl("list").stdout.split())
    methods = grpcurl("list", "shopsphere.v1.ClvService").stdout.split()
    assert methods == ["shopsphere.v1.ClvService.BatchPredictClv", "shopsphere.v1.ClvService.PredictClv"]
    described = grpcurl("describe", "shopsphere.v1.ClvFeatures").stdout
    assert "optional double recency_days = 1;" in described


@every_rpc
def test_grpcurl_is_answered_as_grpcio(grpcurl, channel, shop, rpc):
    """From JSON with the proto's names."""
    entity = shop.ids(rpc.key)[0]
    result = grpcurl(rpc.unary.path[1:], body={rpc.key: entity})
    answer = json_format.Parse(result.stdout, rpc.unary.response())
    assert main_result(rpc, rpc.unary(channel, **{rpc.key: entity})) == main_result(rpc, answer)


def test_grpcurl_shows_what_is_wrong(grpcurl):
    """The code, the sentence and the violations of each field."""
    result = grpcurl(CLV.unary.path[1:], body={"features": {"tx_count": -1}})
    assert 64 + grpc.StatusCode.INVALID_ARGUMENT.value[0] == result.returncode
    for told in ("InvalidArgument", "customer_id is required", "INVALID_FIELD", "features.tx_count"):
        assert told in result.stderr


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Runs the script of a grpc-js client; its packages are installed for this run alone."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js with npm")
    folder = tmp_path_factory.mktemp("grpc_js")
    (folder / "package.json").write_text("{}")
    installed = run("npm", "install", "--no-audit", "--no-fund", "--prefer-offline", *PACKAGES, cwd=folder)
    if installed.returncode:
        pytest.skip(f"npm cannot install {', '.join(PACKAGES)}: {installed.stderr.strip().splitlines()[-1:]}")
    script = Path(shutil.copy(Path(__file__).with_name("grpc_js_client.js"), folder))

    def ask(*words):
        result = run("node", script, *words)
        assert result.stderr == ""
        return json.loads(result.stdout)

    return ask


def test_grpc_js_is_answered_as_grpcio(node, address, channel, shop):
    """Every service from its .proto file; a refusal with its details, and a deadline that has passed."""
    entities = [shop.ids(rpc.key)[0] for rpc in RPCS]
    questions = [
        [rpc.unary.path.split(".")[-1].split("/")[0], rpc.unary.name, {rpc.key: entity}]
        for rpc, entity in zip(RPCS, entities, strict=True)
    ]
    asked = {
        "answers": [*questions, ["ModelsService", "ListModels", {}]],
        "refused": ["ClvService", "PredictClv", {"customer_id": "nobody"}],
    }
    told = node(address, PROTOS, json.dumps(asked))
    for rpc, entity, answer in zip(RPCS, entities, told["answers"], strict=False):
        assert entity == answer[rpc.key]
        assert main_result(rpc, rpc.unary(channel, **{rpc.key: entity})) == main_result(rpc, answer)
    assert {rpc.use_case for rpc in RPCS} == {model["version"]["name"] for model in told["answers"][-1]["models"]}
    status = status_pb2.Status.FromString(base64.b64decode(told["refused"]["status"]))
    assert (grpc.StatusCode.NOT_FOUND.value[0], told["refused"]["details"]) == (status.code, status.message)
    assert status.code == told["refused"]["code"]
    assert grpc.StatusCode.DEADLINE_EXCEEDED.value[0] == told["late"]["code"]


def test_h2load_gets_all_its_answers(tmp_path, address, shop):
    """Eight connections with sixteen calls each at a time: every one ends with HTTP 200 and its trailers."""
    if not shutil.which("h2load"):
        pytest.skip("needs h2load (Debian: nghttp2-client)")
    body = tmp_path / "body.bin"
    body.write_bytes(framed(CLV.unary.request(customer_id=shop.customers[0]).SerializeToString()))
    headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
    load = ("-n", 1000, "-c", 8, "-m", 16)
    result = run("h2load", *load, *headers, "-d", body, f"http://{address}{CLV.unary.path}")
    assert "1000 total, 1000 started, 1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout" in result.stdout
    assert "status codes: 1000 2xx" in result.stdout
