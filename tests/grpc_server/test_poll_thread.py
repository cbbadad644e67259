"""Calls that run in the thread in which gRPC receives them: answers, errors, and long calls beside them."""

import threading

import grpc
import pytest

from grpc_server.poll_thread import PollThreadExecutor


def quick(behaviour):
    """Marked as short."""
    behaviour.quick = True
    return behaviour


@pytest.fixture
def serve():
    """Starts a server with the given behaviours, each under its name, and gives a channel."""
    opened = []

    def start(**behaviours):
        server = grpc.server(PollThreadExecutor())
        handlers = {name: grpc.unary_unary_rpc_method_handler(one) for name, one in behaviours.items()}
        server.add_registered_method_handlers("test.Calls", handlers)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        opened.append((server, channel))
        return server, channel

    yield start
    for server, channel in opened:
        channel.close()
        server.stop(None).wait()


def test_all_short_calls_run_in_one_thread(serve):
    """The one that polls; others in the pool's."""
    threads = {"Quick": set(), "Slow": set()}

    def name_thread(kind):
        return lambda request, context: threads[kind].add(threading.current_thread().name) or request

    _, channel = serve(Quick=quick(name_thread("Quick")), Slow=name_thread("Slow"))
    for kind in threads:
        call = channel.unary_unary(f"/test.Calls/{kind}")
        futures = [call.future(str(number).encode()) for number in range(50)]
        assert [str(number).encode() for number in range(50)] == [future.result() for future in futures]
    assert len(threads["Quick"]) == 1
    assert all(name.startswith("grpc_") for name in threads["Slow"])


def test_short_calls_are_answered_beside_a_long_one(serve):
    """Which would wait for ever otherwise."""
    go = threading.Event()
    _, channel = serve(Quick=quick(lambda request, context: request), Slow=lambda request, context: go.wait() and b"")
    long = channel.unary_unary("/test.Calls/Slow").future(b"")
    assert channel.unary_unary("/test.Calls/Quick")(b"x", timeout=20) == b"x"
    go.set()
    assert long.result(timeout=20) == b""


def test_a_behaviour_that_fails_ends_its_call_alone(serve):
    """By a status of its own, or by an exception, the thread polls on."""

    def fail(request, context):
        if request == b"status":
            context.abort(grpc.StatusCode.NOT_FOUND, "not here")
        raise ValueError("a fault")

    _, channel = serve(Quick=quick(fail), Good=quick(lambda request, context: request))
    codes = []
    for request in (b"status", b"exception"):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/test.Calls/Quick")(request, timeout=20)
        codes.append(caught.value.code())
    assert codes == [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN]
    assert channel.unary_unary("/test.Calls/Good")(b"x", timeout=20) == b"x"


def test_a_client_that_sends_no_message_is_told(serve):
    """A stream that ends without a request."""
    _, channel = serve(Quick=quick(lambda request, context: request))
    with pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary("/test.Calls/Quick")(iter(()), timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert channel.unary_unary("/test.Calls/Quick")(b"x", timeout=20) == b"x"


def test_a_client_that_goes_away_leaves_nothing_behind(serve):
    """Its call is dropped, and the server stops at once when all calls have ended."""
    server, channel = serve(Quick=quick(lambda request, context: request))
    silent = channel.stream_unary("/test.Calls/Quick").future(iter(threading.Event().wait, True))
    assert channel.unary_unary("/test.Calls/Quick")(b"x", timeout=20) == b"x"
    silent.cancel()
    assert channel.unary_unary("/test.Calls/Quick")(b"y", timeout=20) == b"y"
    assert server.stop(60).wait(timeout=30)


def test_a_stopping_server_answers_the_calls_it_has(serve):
    """As with the pool: the grace is for them."""
    entered, go = threading.Event(), threading.Event()
    server, channel = serve(Quick=quick(lambda request, context: entered.set() or (go.wait() and b"done")))
    call = channel.unary_unary("/test.Calls/Quick").future(b"")
    assert entered.wait(timeout=20)
    stopped = server.stop(60)
    go.set()
    assert call.result(timeout=20) == b"done"
    assert stopped.wait(timeout=30)
