"""A bare HTTP/2 client, for what no gRPC library would ever send."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings

SECONDS = 20


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """A message with gRPC's prefix: a flag and the length."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


@dataclass
class Reply:
    """What came back on a stream; `ended` says how: "end", "reset" or "closed" (the whole connection)."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: str = ""

    @property
    def http_status(self) -> str:
        """The HTTP status; empty where nothing came."""
        return self.headers.get(":status", "")

    @property
    def grpc_status(self) -> str:
        """The number in grpc-status, from headers or trailers; empty where there is none."""
        return self.headers.get("grpc-status", "")

    @property
    def message(self) -> bytes:
        """The first message, without its prefix."""
        return self.body[5:]


class Connection:
    """One connection to a server; a context manager that drops it, without a goodbye.

    `window` is how much of each answer the server may send before it is told to go on.
    """

    def __init__(self, address: str, *, window: int = 1 << 20) -> None:
        host, _, port = address.rpartition(":")
        self.address = address
        self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS)
        config = h2.config.H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._http = h2.connection.H2Connection(config)
        self._http.local_settings[h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = window
        self._http.local_settings.acknowledge()
        self._http.initiate_connection()
        self._replies: dict[int, Reply] = {}
        self._flush()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def open(self, path: str, *, end: bool = False, **headers: str | None) -> int:
        """Send the headers of a call and give its stream; names are written with _ for -, None leaves one out."""
        defaults = {"te": "trailers", "content-type": "application/grpc"}
        given = defaults | {name.replace("_", "-"): value for name, value in headers.items()}
        pseudo = {":method": "POST", ":scheme": "http", ":path": path, ":authority": self.address}
        pseudo |= {name: value for name in pseudo if (value := given.pop(name[1:], None))}
        stream = self._http.get_next_available_stream_id()
        listed = [*pseudo.items(), *((name, value) for name, value in given.items() if value is not None)]
        self._http.send_headers(stream, listed, end_stream=end)
        self._replies[stream] = Reply()
        self._flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = True) -> None:
        """Send bytes of a body, as the server's window allows; stops where the server has ended the stream."""
        view = memoryview(data)
        while view and not self._replies[stream].ended:
            room = min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size, len(view))
            if room:
                self._http.send_data(stream, bytes(view[:room]))
                self._flush()
                view = view[room:]
            else:
                self._receive()
        if end and not self._replies[stream].ended:
            self._http.end_stream(stream)
            self._flush()

    def cancel(self, stream: int) -> None:
        """Reset a stream, as a client does that no longer waits."""
        self._http.reset_stream(stream, error_code=8)
        self._flush()

    def reply(self, stream: int) -> Reply:
        """Wait for the end of a stream."""
        while not self._replies[stream].ended:
            self._receive()
        return self._replies[stream]

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
            events = self._http.receive_data(data) if data else []
        except ConnectionError:
            data, events = b"", []
        for event in events:
            self._take(event)
        if not data or any(isinstance(event, h2.events.ConnectionTerminated) for event in events):
            self._end_all()
        else:
            self._flush()

    def _take(self, event: h2.events.Event) -> None:
        reply = self._replies.get(getattr(event, "stream_id", None) or 0)
        if reply is None:
            return
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            reply.headers.update(_text(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = reply.ended or "end"
        elif isinstance(event, h2.events.StreamReset):
            reply.ended = reply.ended or "reset"

    def _end_all(self) -> None:
        for reply in self._replies.values():
            reply.ended = reply.ended or "closed"

    def _flush(self) -> None:
        try:
            self._socket.sendall(self._http.data_to_send())
        except ConnectionError:
            self._end_all()


def exchange(address: str, path: str, body: bytes, **headers: str | None) -> Reply:
    """One call on a connection of its own."""
    with Connection(address) as connection:
        stream = connection.open(path, **headers)
        connection.send(stream, body)
        return connection.reply(stream)


def _text(headers: Iterable[tuple[object, object]]) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers}
