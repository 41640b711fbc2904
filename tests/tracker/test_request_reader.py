"""Any octets, cut anywhere, give the same answers; and what a header gives."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.metrics import Metrics
from mailwake.tracker import responses
from mailwake.tracker.http_connection import HttpConnection
from mailwake.tracker.http_limits import HttpLimits
from mailwake.tracker.http_server import HttpServer
from mailwake.tracker.messages import Request, Response, make_response
from mailwake.tracker.request_reader import BadRequestError, RequestReader

READER = RequestReader(target_octets=1000, header_fields=10)
PIECES = (
    *(b"GET / HTTP/1.1\r\n", b"POST /body HTTP/1.1\r\n", b"HEAD /a?b HTTP/1.0\r\n", b"Host: a\r\n"),
    *(b"\r\n", b"\r", b"\n", b" ", b":", b"\0", b"abc", b"X: " + b"y" * 300 + b"\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Upgrade: h2c\r\nConnection: Upgrade\r\n"),
    b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
)


class Echo:
    """Answers at once with what it was asked."""

    def takes_body(self, request: Request) -> bool:
        return request.path == "/body"

    def answer(self, request: Request, respond: Callable[[Response], None]) -> None:
        respond(make_response(200, [], f"{request.method} {request.path}?{request.query} {request.body!r}".encode()))


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.written = b""
        self.open = True

    def write(self, octets: bytes) -> None:
        assert self.open
        self.written += octets

    def write_eof(self) -> None:
        self.open = False

    def is_closing(self) -> bool:
        return not self.open

    close = abort = write_eof

    def can_write_eof(self) -> bool:
        return True

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 1) if name == "peername" else None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def answers(pieces: list[bytes]) -> tuple[bytes, bool]:
    """What a connection says to octets that come in these pieces, and whether it goes on."""

    async def talk() -> tuple[bytes, bool]:
        server = HttpServer(Echo(), HttpLimits(header_octets=400, target_octets=200, header_fields=8), Metrics())
        await server.begin()
        connection, wire = HttpConnection(server), Wire()
        connection.connection_made(wire)  # type: ignore[arg-type]  # all that is used of a transport
        for piece in pieces:
            connection.data_received(piece)
        connection.connection_lost(None)
        await server.stop()
        return re.sub(rb"date: [^\r]+\r\n", b"", wire.written), wire.open

    return asyncio.run(talk())


@given(st.lists(st.sampled_from(PIECES), max_size=14), st.lists(st.integers(0, 400), max_size=12))
def test_any_octets_cut_anywhere_give_the_same_answers(pieces: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(pieces)
    at = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    assert answers([octets[a:b] for a, b in itertools.pairwise(at)]) == answers([octets])


async def test_an_answer_to_a_client_that_is_just_going_is_not_written() -> None:
    class Later(Echo):
        def answer(self, request: Request, respond: Callable[[Response], None]) -> None:
            self.respond = respond

    app, metrics = Later(), Metrics()
    server = HttpServer(app, HttpLimits(), metrics)
    await server.begin()
    connection, wire = HttpConnection(server), Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]  # all that is used of a transport
    connection.data_received(head("GET / HTTP/1.1", "Host: a"))
    wire.abort()  # the loop says so to the connection in its next turn
    app.respond(make_response(200, []))
    assert wire.written == b""
    connection.connection_lost(None)
    assert metrics.counter("tracker_connections_open").value == 0
    await server.stop()


def head(*lines: str) -> bytes:
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def test_a_plain_request() -> None:
    request = READER.read(head("GET /f/a%2Fb/x?y=%31#z HTTP/1.1", "Host: A.example", "X: 1", "x:  2 "), "192.0.2.1")
    assert (request.method, request.path, request.query, request.client) == ("GET", "/f/a/b/x", "y=%31", "192.0.2.1")
    assert (request.authority, request.keep_alive, request.unread_body) == (None, True, False)
    assert request.headers.get("x") == "1"
    assert request.headers.get_all("x") == ["1", "2"]
    assert (request.headers.get("y"), "x" in request.headers, "y" in request.headers) == (None, True, False)


@pytest.mark.parametrize(
    ("target", "path", "authority"),
    [
        ("http://b.example:8080/x?y", "/x", "b.example:8080"),
        ("HTTPS://u:p@b.example/x", "/x", "b.example"),
        ("http://b.example", "", "b.example"),
        ("/ä€", "/ä\N{EURO SIGN}", None),
    ],
)
def test_targets(target: str, path: str, authority: str | None) -> None:
    line = f"GET {target} HTTP/1.1".encode()
    request = READER.read(line + b"\r\nHost: a\r\n\r\n", "")
    assert (request.path, request.authority) == (path, authority)


@pytest.mark.parametrize(
    ("lines", "keeps"),
    [
        (("GET / HTTP/1.1", "Host: a"), True),
        (("GET / HTTP/1.1", "Host: a", "Connection: x, Close"), False),
        (("GET / HTTP/1.0",), False),
        (("GET / HTTP/1.0", "Connection: Keep-Alive"), True),
        (("GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: h2c"), False),
        (("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Connection: close"), False),
    ],
)
def test_whether_the_connection_is_kept(lines: tuple[str, ...], keeps: bool) -> None:
    assert READER.read(head(*lines), "").keep_alive is keeps


def test_chunks_are_a_body_whatever_is_said_of_an_upgrade() -> None:
    lines = ("GET / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Connection: Upgrade", "Upgrade: h2c")
    assert READER.read(head(*lines), "").unread_body


@pytest.mark.parametrize(
    ("lines", "response"),
    [
        (("FOO / HTTP/1.1", "Host: a"), responses.WRONG_METHOD),
        (("GET / RTSP/1.0",), responses.WRONG_VERSION),
        (("GET /" + "x" * 1000 + " HTTP/1.1", "Host: a"), responses.TARGET_TOO_LONG),
        (("GET / HTTP/1.1", "Host: a", *(["X: y"] * 20)), responses.HEADER_TOO_LARGE),
        (("GET /\x01 HTTP/1.1", "Host: a"), responses.BAD_REQUEST),
        (("GET / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked", "Content-Length: 1"), responses.BAD_REQUEST),
    ],
)
def test_what_is_refused(lines: tuple[str, ...], response: Response) -> None:
    with pytest.raises(BadRequestError) as caught:
        READER.read(head(*lines), "")
    assert caught.value.response is response
    assert READER.read(head("GET / HTTP/1.1", "Host: a"), "").path == "/", "the next one is read as ever"
