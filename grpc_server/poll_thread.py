"""Answers short calls in the thread in which gRPC receives them: to hand them on costs more than most answers.

grpcio gives every call to a thread pool, whose thread starts to read the request and sleeps until the polling thread
has it. On one core these two hand-overs are 40 % of an empty call. Here the polling thread goes on with the request
that it has just read. A call that takes long would keep all others waiting: those go to the pool.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # compiled, and its stubs leave it out

logger = logging.getLogger(__name__)
THREADS = 4
NO_MESSAGE = b"exactly one request message is required"


class PollThreadExecutor(ThreadPoolExecutor):
    """The executor for `grpc.server`: behaviours with an attribute `quick` that is true run in the polling thread.

    It rests on grpcio's own modules, of the version in the lock; of a version that calls it in another way, all goes to
    the pool.
    """

    def __init__(self, waited: Callable[[float], None] = lambda _: None) -> None:
        """`waited` is told how long each call that went to the pool waited for a thread."""
        super().__init__(THREADS, thread_name_prefix="grpc")
        self._waited = waited

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Begin a call as grpcio asks for it; gives what tells when it has ended."""
        if len(args) == 7 and args[0] is _server._unary_response_in_pool and getattr(args[3], "quick", False):
            _, event, state, behavior, _, deserializer, serializer = args
            return _QuickCall(fn, event, state, behavior=behavior, encoding=(deserializer, serializer))
        return super().submit(self._take, time.perf_counter(), fn, args, kwargs)

    def _take(self, since: float, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._waited(time.perf_counter() - since)
        return fn(*args, **kwargs)


class _QuickCall:
    """One unary call between its arrival and its status; every method runs in the polling thread."""

    def __init__(self, run: Any, event: Any, state: Any, *, behavior: Any, encoding: tuple[Any, Any]) -> None:
        self._run, self._event, self._state, self._behavior = run, event, state, behavior
        self._deserializer, self._serializer = encoding
        self._receive = _server._receive_message(state, event.call, self._deserializer)
        self._ended: Callable[[Any], None] = lambda _: None
        event.call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), self._received)
        state.due.add(_server._RECEIVE_MESSAGE_TOKEN)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback` when the call has ended; grpcio asks before the message can have come."""
        self._ended = callback

    def _received(self, event: Any) -> Any:
        finished = self._receive(event)
        state = self._state
        try:
            if state.request is not None and _server._is_rpc_state_active(state):
                self._answer()
            elif state.client is _server._CLOSED and not state.statused:
                with state.condition:
                    _server._abort(state, self._event.call, cygrpc.StatusCode.unimplemented, NO_MESSAGE)
        except Exception:
            logger.exception("a call could not be answered")  # and must not end the thread that polls
        finally:
            self._ended(self)
        return finished

    def _answer(self) -> None:
        state, call = self._state, self._event
        request, state.request = state.request, None
        try:
            response = self._run(self._behavior, request, _server._Context(call, state, self._deserializer))
        except Exception as error:
            self._run(_server._call_behavior, call, state, _raising(error), request, self._deserializer)
            return
        serialized = _server._serialize_response(call, state, response, self._serializer)
        if serialized is not None:
            _server._status(call, state, serialized)


def _raising(error: Exception) -> Callable[[Any, Any], Any]:
    """A behaviour that fails so: grpcio makes a status of it."""

    def behavior(request: Any, context: Any) -> Any:
        raise error

    return behavior
