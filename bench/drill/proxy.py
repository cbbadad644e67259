"""A proxy before an S3 server that fails on purpose, as stores and networks do; `python -m bench.drill.proxy --help`.

It runs in a process of its own and prints its address. It counts only the requests that match, and lets others pass.
"""

import argparse
import http.client
import re
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

XML = "<?xml version='1.0'?><Error><Code>{}</Code><Message>made by the drill</Message></Error>"
ANSWERS = {"deny": (403, "AccessDenied"), "slow-down": (503, "SlowDown")}
FAULTS = (*ANSWERS, "drop", "lose-answer", "delay")


@dataclass
class Plan:
    """fault: one of FAULTS; first: the matching request from which on it happens; times: how often."""

    fault: str
    match: str
    first: int
    times: int
    seconds: float

    def __post_init__(self) -> None:
        self._seen = 0
        self._lock = threading.Lock()

    def strikes(self, request: str) -> bool:
        """Whether it happens to this request, given as `METHOD /path`."""
        if not re.search(self.match, request):
            return False
        with self._lock:
            self._seen += 1
            return self.first <= self._seen < self.first + self.times


def handler(upstream: str, plan: Plan) -> type[BaseHTTPRequestHandler]:
    """The handler of one server's requests."""
    host = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            struck = plan.strikes(f"{self.command} {self.path}")
            if struck and plan.fault == "drop":
                self.close_connection = True
            elif struck and plan.fault in ANSWERS:
                status, code = ANSWERS[plan.fault]
                self._answer(status, {"Content-Type": "application/xml"}, XML.format(code).encode())
            else:
                if struck and plan.fault == "delay":
                    time.sleep(plan.seconds)
                self._forward(body, lose=struck and plan.fault == "lose-answer")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

        def _forward(self, body: bytes, *, lose: bool) -> None:
            connection = http.client.HTTPConnection(host, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            response = connection.getresponse()
            content = response.read()
            connection.close()
            if lose:
                self.close_connection = True
            else:
                self._answer(response.status, dict(response.getheaders()), content)

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            skipped = ("content-length", "transfer-encoding", "connection", "date", "server")
            with suppress(ConnectionError):
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in skipped:
                        self.send_header(name, value)
                self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("upstream", help="address of the S3 server")
    parser.add_argument("fault", choices=FAULTS, help="what happens to matching requests")
    parser.add_argument("--match", default=".", help="regular expression over `METHOD /path?query`")
    parser.add_argument("--first", type=int, default=1, help="the matching request from which on it happens")
    parser.add_argument("--times", type=int, default=10**9, help="how often it happens")
    parser.add_argument("--seconds", type=float, default=60, help="how long `delay` waits")
    given = parser.parse_args()
    plan = Plan(given.fault, given.match, given.first, given.times, given.seconds)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(given.upstream, plan))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
