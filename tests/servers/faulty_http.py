"""An HTTP proxy on 127.0.0.1 in front of a real S3 server, that does what networks and servers do on
bad days.

    with faulty_http(server) as proxy:
        proxy.plan(answer(503, "SlowDown"), method="PUT", times=2)
        ...
        assert proxy.seen("PUT") == 3

Requests without a plan pass through unchanged, signatures included: the Host header stays.
"""

import http.client
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.servers.s3 import S3Server

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, with the length that it claims to have."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    claimed: int


class Exchange:
    """One request that has a plan: what an action can do with it."""

    def __init__(self, handler: "_Handler") -> None:
        self._handler = handler

    def body(self, bytes_per_second: float = 0.0) -> bytes:
        """Read the request's body, slowly if a pace is given."""
        missing = int(self._handler.headers.get("Content-Length", "0"))
        if not bytes_per_second:
            return self._handler.rfile.read(missing)
        pieces = []
        while missing:
            piece = self._handler.rfile.read(min(missing, 64 * 1024))
            time.sleep(len(piece) / bytes_per_second)
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def forward(self, body: bytes | None = None) -> Reply:
        """Let the real server answer."""
        body = self.body() if body is None else body
        handler = self._handler
        upstream = http.client.HTTPConnection(*handler.faulty.upstream, timeout=60)
        try:
            upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            kept = [row for row in answer.getheaders() if row[0].lower() not in _HOP_BY_HOP]
            content = answer.read()
            claimed = int(answer.getheader("Content-Length") or len(content))
            return Reply(answer.status, kept, content, claimed)
        finally:
            upstream.close()

    def send(self, reply: Reply, *, bytes_per_second: float = 0.0, length: str | None = None) -> None:
        """Send the answer, dripping if a pace is given. The connection is closed if it is cut short.
        `length` is a Content-Length of whatever text."""
        handler = self._handler
        handler.send_response_only(reply.status)
        for name, value in reply.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(reply.claimed) if length is None else length)
        handler.end_headers()
        if handler.command != "HEAD":
            if bytes_per_second:
                for start in range(0, len(reply.body), 1024):
                    handler.wfile.write(reply.body[start : start + 1024])
                    time.sleep(1024 / bytes_per_second)
            else:
                handler.wfile.write(reply.body)
            if len(reply.body) != reply.claimed:
                self.hang_up()

    def hang_up(self) -> None:
        """End the connection in good order."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """End the connection by a TCP reset."""
        self._handler.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._handler.connection.close()


Action = Callable[[Exchange], None]


def answer(status: int, code: str = "") -> Action:
    """The server does nothing and answers with an error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>" if code else ""
    return say(status, body.encode())


def say(status: int, body: bytes, content_type: str = "application/xml") -> Action:
    """The server does nothing and answers with this body."""

    def act(exchange: Exchange) -> None:
        exchange.body()
        exchange.send(Reply(status, [("Content-Type", content_type)], body, len(body)))

    return act


def lose_answer(exchange: Exchange) -> None:
    """The server does what it was asked, and its answer never arrives."""
    exchange.forward()
    exchange.reset()


def reset(exchange: Exchange) -> None:
    """The connection breaks before anything happens."""
    exchange.body()
    exchange.reset()


def truncate(keep: int) -> Action:
    """Only the first `keep` bytes of the answer's body arrive."""

    def act(exchange: Exchange) -> None:
        reply = exchange.forward()
        exchange.send(replace(reply, body=reply.body[:keep]))

    return act


def change(
    *, status: int | None = None, body: bytes | None = None, claimed: int | None = None, **headers: str | None
) -> Action:
    """The answer arrives with another status, body, claimed length or headers (`content_range=`); a
    header that is None is left out."""

    def act(exchange: Exchange) -> None:
        reply = exchange.forward()
        kept = {name.lower(): value for name, value in reply.headers}
        for name, value in headers.items():
            kept.pop(name.replace("_", "-"), None)
            if value is not None:
                kept[name.replace("_", "-")] = value
        content = reply.body if body is None else body
        length = reply.claimed if body is None else len(content)
        exchange.send(
            Reply(
                status=reply.status if status is None else status,
                headers=list(kept.items()),
                body=content,
                claimed=length if claimed is None else claimed,
            )
        )

    return act


def ignore_range(whole: bytes) -> Action:
    """The whole object is sent, whatever range was asked for. (A request without its Range header would
    have the wrong signature, so the proxy has to know the object.)"""
    return change(status=200, body=whole, content_range=None)


def stall(seconds: float) -> Action:
    """Nothing is heard for a while."""

    def act(exchange: Exchange) -> None:
        body = exchange.body()
        time.sleep(seconds)
        exchange.send(exchange.forward(body))

    return act


def drip(bytes_per_second: float) -> Action:
    """The answer's body comes in slowly, but steadily."""

    def act(exchange: Exchange) -> None:
        exchange.send(exchange.forward(), bytes_per_second=bytes_per_second)

    return act


def slow_uplink(bytes_per_second: float) -> Action:
    """The request's body is taken slowly, but steadily."""

    def act(exchange: Exchange) -> None:
        exchange.send(exchange.forward(exchange.body(bytes_per_second)))

    return act


garbage: Action = say(200, b"<html><body>Please log in to the hotel's network", "text/html")
"""What answers is not an S3 server."""


def odd_length(text: str) -> Action:
    """The answer's Content-Length is this text."""

    def act(exchange: Exchange) -> None:
        exchange.send(exchange.forward(), length=text)
        exchange.hang_up()

    return act


@dataclass(slots=True)
class _Plan:
    action: Action
    method: str
    path: re.Pattern[str]
    times: int


@dataclass(slots=True)
class FaultyHttp:
    """The running proxy: plans, the requests that came, and the address to use."""

    upstream: tuple[str, int]
    server: S3Server
    requests: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    with_md5: list[str] = field(default_factory=list)
    """Requests that carried a Content-MD5."""
    _plans: list[_Plan] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, action: Action, *, method: str = "", path: str = "", times: int = 1) -> None:
        """Do `action` to the next `times` requests with this method whose path (with query) has a part
        that matches the pattern `path`."""
        with self._lock:
            self._plans.append(_Plan(action, method, re.compile(path), times))

    def left(self) -> int:
        """How often the plans still wait for their request; they are dropped."""
        with self._lock:
            left = sum(plan.times for plan in self._plans)
            self._plans.clear()
        return left

    def seen(self, method: str, path: str = "") -> int:
        """How many requests came with this method and path."""
        return sum(
            request.startswith(f"{method} ") and re.search(path, request) is not None
            for request in self.requests
        )

    def take(self, method: str, path: str, headers: Mapping[str, str]) -> Action | None:
        """Note the request; the action that is planned for it."""
        with self._lock:
            self.requests.append(f"{method} {path}")
            self.authorizations.append(headers.get("Authorization", ""))
            if "Content-MD5" in headers:
                self.with_md5.append(f"{method} {path}")
            for plan in self._plans:
                if plan.times and plan.method in ("", method) and plan.path.search(path):
                    plan.times -= 1
                    return plan.action
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faulty: FaultyHttp

    def _serve(self) -> None:
        exchange = Exchange(self)
        action = self.faulty.take(self.command, self.path, dict(self.headers))
        try:
            if action is None:
                exchange.send(exchange.forward())
            else:
                action(exchange)
        except OSError:
            self.close_connection = True  # the client gave up: part of the game

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - names given by http.server

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """No log: tests say what they saw."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        super().__init__(address, handler, bind_and_activate=False)
        # Small, so that who sends to a slow reader notices it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self.connections: set[socket.socket] = set()
        self.server_bind()
        self.server_activate()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, client = super().get_request()
        self.connections.add(connection)
        return connection, client

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that tests break on purpose are no news."""

    def hang_up(self) -> None:
        """End all connections, idle ones too."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty_http(server: S3Server, *, tls: ssl.SSLContext | None = None) -> Iterator[FaultyHttp]:
    """A proxy in front of `server`, until the end of the block; with TLS if it gets a context."""
    parts = urlsplit(server.endpoint)
    assert parts.hostname is not None
    assert parts.port is not None
    plans = FaultyHttp((parts.hostname, parts.port), server)

    class Handler(_Handler):
        faulty = plans

    proxy = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        proxy.socket = tls.wrap_socket(proxy.socket, server_side=True)
    scheme = "https" if tls is not None else "http"
    plans.server = replace(server, endpoint=f"{scheme}://127.0.0.1:{proxy.server_address[1]}")
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield plans
    finally:
        proxy.shutdown()
        proxy.server_close()
        proxy.hang_up()
        thread.join()
