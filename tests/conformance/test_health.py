"""grpc.health.v1 and reflection: what load balancers and tools ask a server about itself."""

import threading
from contextlib import ExitStack

import grpc
import pytest
from contract import CLV, METHODS, SECONDS, SERVICES, code_of
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

SERVING = health_pb2.HealthCheckResponse.SERVING
IDLE = 12
"""More streams than a server may have threads to wait on each of them."""


@pytest.fixture(scope="module")
def health(channel):
    """The health service."""
    return health_pb2_grpc.HealthStub(channel)


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_each_service_is_healthy(health, service):
    """And the server as a whole, whose name is empty: by Check and as the first word of Watch."""
    request = health_pb2.HealthCheckRequest(service=service)
    assert health.Check(request).status == SERVING
    watched = health.Watch(request, timeout=SECONDS)
    assert next(watched).status == SERVING
    watched.cancel()


def test_an_unknown_service_has_no_health(health):
    """NOT_FOUND from Check; Watch says SERVICE_UNKNOWN and goes on, as the service may yet come."""
    request = health_pb2.HealthCheckRequest(service="shopsphere.v1.Nothing")
    assert code_of(health.Check, request) == "NOT_FOUND"
    watched = health.Watch(request, timeout=SECONDS)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watched.cancel()


def test_all_services_are_listed_with_their_health(health):
    """By List, in one answer."""
    assert {"", *SERVICES} <= set(health.List(health_pb2.HealthListRequest(), timeout=SECONDS).statuses)


def test_watchers_hold_nobody_up(channel, health, shop):
    """However many there are, calls are answered."""
    watched = [health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS) for _ in range(IDLE)]
    assert [next(stream).status for stream in watched] == [SERVING] * IDLE
    assert CLV.unary(channel, customer_id=shop.customers[0]).metadata.prediction_id
    for stream in watched:
        stream.cancel()


@pytest.fixture(scope="module", params=["v1alpha", "v1"])
def reflect(request, channel):
    """Asks the reflection service, in each version that there is; their messages are the same."""
    path = f"/grpc.reflection.{request.param}.ServerReflection/ServerReflectionInfo"
    call = channel.stream_stream(
        path,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )

    def ask(*questions, **options):
        return call(iter([reflection_pb2.ServerReflectionRequest(**one) for one in questions]), **options)

    try:
        next(ask({"list_services": ""}, timeout=SECONDS))
    except grpc.RpcError as error:
        if request.param == "v1" and error.code() is grpc.StatusCode.UNIMPLEMENTED:
            pytest.skip("this server has reflection v1alpha only")
        raise
    return ask


def test_all_services_are_reflected(reflect):
    """The six, health, and reflection itself."""
    (answer,) = reflect({"list_services": ""}, timeout=SECONDS)
    names = {service.name for service in answer.list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health"} <= names
    assert any(name.startswith("grpc.reflection.") for name in names)


def test_descriptors_are_enough_to_call_every_method(reflect):
    """Files by symbol, and what those import by name, make a pool that has each method as our own code has it."""
    found = {}
    wanted = [{"file_containing_symbol": service} for service in SERVICES]
    while wanted:
        for answer in reflect(*wanted, timeout=SECONDS):
            for packed in answer.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(packed)
                found[file.name] = file
        missing = {name for file in found.values() for name in file.dependency} - set(found)
        wanted = [{"file_by_filename": name} for name in missing]
    pool = descriptor_pool.DescriptorPool()
    while found:
        ready = [name for name, file in found.items() if not set(file.dependency) & set(found)]
        for name in ready:
            pool.Add(found.pop(name))
    for method in METHODS:
        service, name = method.path[1:].split("/")
        reflected = pool.FindServiceByName(service).methods_by_name[name]
        given, returned = descriptor_pb2.DescriptorProto(), descriptor_pb2.DescriptorProto()
        reflected.input_type.CopyToProto(given)
        method.request.DESCRIPTOR.CopyToProto(returned)
        assert returned == given


@pytest.mark.parametrize(
    "question",
    [
        {"file_containing_symbol": "shopsphere.v1.Nothing"},
        {"file_by_filename": "nothing.proto"},
        {"file_by_filename": ""},
    ],
    ids=str,
)
def test_an_unknown_name_is_not_found(reflect, question):
    """In the answer: the stream goes on."""
    answers = list(reflect(question, {"list_services": ""}, timeout=SECONDS))
    assert grpc.StatusCode.NOT_FOUND.value[0] == answers[0].error_response.error_code
    assert answers[1].list_services_response.service


def test_idle_reflection_streams_hold_nobody_up(channel, shop):
    """Tools keep theirs open: each gets its answer, and calls get theirs."""
    done = threading.Event()

    def one_question():
        yield reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
        done.wait(SECONDS)

    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with ExitStack() as streams:
        streams.callback(done.set)
        for number in range(IDLE):
            # a later one ends before an earlier one, so that none is answered because another one has ended
            stream = channel.stream_stream(path)(one_question(), timeout=8 - number / 2)
            streams.callback(stream.cancel)
            assert next(stream)
        assert CLV.unary(channel, customer_id=shop.customers[0]).metadata.prediction_id
