"""Trials over the admin port."""

import grpc
import pytest
from shopsphere.v1 import models_admin_pb2, models_admin_pb2_grpc, models_pb2

from grpc_server.admin import admin_server
from grpc_server.supervisor import _free_port
from lakehouse.errors import ConfigurationError
from training.model_list import decision_rows


@pytest.fixture
def admin(live, following):
    """The service on a port of its own, and a follower that looks all the time."""
    settings = live.settings.model_copy(update={"admin_port": _free_port("127.0.0.1", 0, "SHOPSPHERE_ADMIN_PORT")})
    server = admin_server(settings, name="live")
    with grpc.insecure_channel(f"127.0.0.1:{settings.admin_port}") as channel:
        yield models_admin_pb2_grpc.ModelsAdminServiceStub(channel)
        with pytest.raises(ConfigurationError, match="SHOPSPHERE_ADMIN_PORT"):
            admin_server(settings, name="live")
    server.stop(None).wait()


def challenge(percent, version=2, name="clv"):
    """A request."""
    return models_admin_pb2.SetChallengerRequest(name=name, version=version, percent=percent)


def test_a_trial_is_set_and_ended(live, admin):
    """The answer comes when the workers have taken it, and each step is a row."""
    begun = admin.SetChallenger(challenge(10))
    assert (begun.challenger.version, begun.mode) == (2, models_pb2.TRIAL_MODE_CANARY)
    assert (begun.workers.workers, begun.workers.following) == (2, 2)
    ended = admin.EndTrial(models_admin_pb2.EndTrialRequest(name="clv"))
    assert (ended.challenger.version, ended.workers.following) == (2, 2)
    rows = decision_rows(live.settings, "clv")[-2:]
    assert [(row[1], row[2], row[7]) for row in rows] == [
        ("canary", "2", "the admin port"),
        ("trial ended", "2", "the admin port"),
    ]


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (challenge(10, name="weather"), grpc.StatusCode.NOT_FOUND, "weather"),
        (challenge(10, version=99), grpc.StatusCode.FAILED_PRECONDITION, "no version 99"),
        (challenge(10, version=1), grpc.StatusCode.FAILED_PRECONDITION, "answers already"),
        (challenge(100), grpc.StatusCode.INVALID_ARGUMENT, "0 to 99"),
    ],
)
def test_a_trial_that_cannot_be_is_refused(admin, request_, code, said):
    """With a canonical code and a sentence."""
    with pytest.raises(grpc.RpcError) as caught:
        admin.SetChallenger(request_)
    assert caught.value.code() is code
    assert said in caught.value.details()
