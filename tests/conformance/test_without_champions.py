"""A server of our own to which nobody has promoted anything yet, and what its clients see when somebody does."""

import urllib.error
import urllib.request

import grpc
import pytest
from contract import (
    CLV,
    GET_MODEL,
    LIST_MODELS,
    RPCS,
    SECONDS,
    SERVICES,
    code_of,
    every_rpc,
    refusal,
    wait_until,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc

from grpc_server.server import running_server
from training.registry import Registry

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def settings(registered):
    """The settings of the server, whose registry has models and no champion."""
    return registered.settings("bare")


@pytest.fixture(scope="module")
def bare(settings):
    """Where it answers."""
    with running_server(settings) as address:
        yield address


@pytest.fixture(scope="module")
def channel(bare):
    """A channel to it; the worker has looked for models once."""
    with grpc.insecure_channel(bare.grpc) as opened:
        wait_until(lambda: code_of(CLV.unary.on(opened), CLV.unary.request(customer_id="1")) != "UNAVAILABLE")
        yield opened


@every_rpc
def test_a_call_says_that_there_is_no_champion(channel, rpc):
    """One by one and in a batch, and names the model; what is invalid is told first."""
    for method, ids in ((rpc.unary, {rpc.key: "1"}), (rpc.batch, {rpc.keys: ["1", "2"]})):
        told = refusal(method, channel, **ids)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "NO_CHAMPION")
        assert ("model", rpc.use_case) == told.resource
    assert refusal(rpc.unary, channel).code == "INVALID_ARGUMENT"


def test_no_model_is_listed(channel):
    """Each is known all the same, as one that has no champion."""
    assert list(LIST_MODELS(channel).models) == []
    for rpc in RPCS:
        told = refusal(GET_MODEL, channel, name=rpc.use_case)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "NO_CHAMPION")
    assert refusal(GET_MODEL, channel, name="nothing").code == "NOT_FOUND"


def test_no_service_is_healthy(channel):
    """But the server answers."""
    for service in ("", *SERVICES):
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == NOT_SERVING


def test_rest_is_up_and_not_ready(bare):
    """/health is 200 and /ready 503."""
    with urllib.request.urlopen(f"{bare.rest}/health", timeout=SECONDS) as response:
        assert response.status == 200
    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(f"{bare.rest}/ready", timeout=SECONDS):
        pass
    with caught.value as error:
        assert error.code == 503


def test_watchers_see_a_service_become_healthy(channel, settings, registered):
    """Those of the service and of the whole server; others stay as they were, and the new champion answers."""
    stub = health_pb2_grpc.HealthStub(channel)
    names = ("", "shopsphere.v1.ClvService", "shopsphere.v1.ModelsService", "shopsphere.v1.PricingService")
    watched = {
        name: stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=SECONDS, wait_for_ready=True)
        for name in names
    }
    assert [next(stream).status for stream in watched.values()] == [NOT_SERVING] * 4
    Registry(settings).set_champion("clv", registered.versions["clv"])
    for name in names[:3]:
        assert next(status.status for status in watched[name] if status.status != NOT_SERVING) == SERVING
    assert stub.Check(health_pb2.HealthCheckRequest(service=names[3])).status == NOT_SERVING
    assert [("clv", registered.versions["clv"])] == [
        (model.version.name, model.version.version) for model in LIST_MODELS(channel).models
    ]
    for stream in watched.values():
        stream.cancel()
    assert stub.Check(health_pb2.HealthCheckRequest()).status == SERVING  # and the watchers have left before it stops
