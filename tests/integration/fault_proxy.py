"""A reverse proxy on loopback that does to chosen requests what a network, a server or a kernel can do to them."""

import http.client
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

#: slow_down: 503, as S3 says it, and nothing reaches the server behind.  throttle: 400, as Step Functions says it, and
#: nothing reaches it.  cut_before: the connection is reset, and nothing reaches it.  cut_after: it has done its work,
#: and the connection is reset in place of its answer.  delay: the request goes on after ``seconds``.  kill_before,
#: kill_after: as the cuts, with the client's process killed.
Effect = Literal["slow_down", "throttle", "cut_before", "cut_after", "delay", "kill_before", "kill_after"]

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_THROTTLED = b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'
#: Those that belong to one connection and not to the message.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "host", "content-length"}
_UPSTREAM_SECONDS = 60.0


@dataclass
class Rule:
    """Which requests are struck, and by what.

    Attributes:
        method: the HTTP method.
        path: a regular expression that the whole path has to match.
        times: how often each path is struck; every time where nothing is said.
        body: what the request's body has to hold.
        seconds: how long ``delay`` waits.
        struck: how often each path was struck.
    """

    effect: Effect
    method: str
    path: str
    times: int | None = None
    body: bytes = b""
    seconds: float = 0.0
    struck: Counter[str] = field(default_factory=Counter)

    def strikes(self, method: str, path: str, body: bytes) -> bool:
        """Whether this request is struck; it counts as struck then."""
        if method != self.method or not re.fullmatch(self.path, path) or self.body not in body:
            return False
        if self.times is not None and self.struck[path] >= self.times:
            return False
        self.struck[path] += 1
        return True


class FaultProxy(ThreadingHTTPServer):
    """Passes every request on to one server, but for those that a rule strikes.

    Args:
        upstream: the server's base URL.
        kill: ends the process that holds the client's end of a connection, named by its local port.
    """

    daemon_threads = True

    def __init__(self, upstream: str, kill: Callable[[int], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.upstream = urlsplit(upstream).netloc
        self.kill = kill
        self.rules: list[Rule] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @contextmanager
    def striking(self, rule: Rule) -> Iterator[None]:
        """Strike by a rule for a while."""
        with self._lock:
            self.rules.append(rule)
        try:
            yield
        finally:
            with self._lock:
                self.rules = [one for one in self.rules if one is not rule]

    def strike(self, method: str, path: str, body: bytes) -> Rule | None:
        """The first rule that strikes a request."""
        with self._lock:
            return next((rule for rule in self.rules if rule.strikes(method, path, body)), None)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection as its linger says: an orderly end first would keep a reset from being one."""
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what these tests are about."""


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultProxy

    def _serve(self) -> None:
        body = self._body()
        rule = self.server.strike(self.command, unquote(urlsplit(self.path).path), body)
        effect = rule.effect if rule else None
        if effect == "slow_down":
            self._answer(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
        elif effect == "throttle":
            self._answer(400, [("Content-Type", "application/x-amz-json-1.0")], _THROTTLED)
        elif effect == "cut_before":
            self._cut()
        elif effect == "kill_before":
            self._kill()
        else:
            if rule and effect == "delay":
                # A lock that nobody opens: a wait that is no sleep of the test's own.
                threading.Event().wait(rule.seconds)
            status, headers, answer = self._pass_on(body)
            if effect == "cut_after":
                self._cut()
            elif effect == "kill_after":
                self._kill()
            else:
                self._answer(status, headers, answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _pass_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=_UPSTREAM_SECONDS)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            # The length of what a HEAD does not bring is part of the answer.
            if name.lower() not in _HOP_BY_HOP or (self.command == "HEAD" and name.lower() == "content-length"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _cut(self) -> None:
        # A linger of zero makes the close a reset (RST) and not an orderly end (FIN).
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _kill(self) -> None:
        self.server.kill(self.client_address[1])
        self.close_connection = True
