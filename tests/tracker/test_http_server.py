"""What the HTTP server promises: requests in order, limits, and an end that leaves nobody without an answer."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mailwake.metrics import Metrics
from mailwake.tracker.http_limits import HttpLimits
from mailwake.tracker.http_server import HttpServer
from mailwake.tracker.messages import Request, Response, make_response

Serve = Callable[..., AbstractAsyncContextManager[Any]]
"""The fixture of conftest.py."""


QUICK = HttpLimits(header_timeout=0.2, idle_timeout=0.2)
DONE = make_response(200, [("content-type", "text/plain")], b"done")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
NOW = b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = NOW.replace(b"1.1\r\n", b"1.1\r\nConnection: close\r\n")
POST = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for is another's counter
        await asyncio.sleep(0.01)


class Gated:
    """Answers `/` when the gate opens, all else at once; `/body` takes one and shows it, `/big` has a large answer."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.arrived = asyncio.Event()
        self.paths: list[str] = []

    def takes_body(self, request: Request) -> bool:
        return request.path == "/body"

    def answer(self, request: Request, respond: Callable[[Response], None]) -> None:
        self.arrived.set()
        self.paths.append(request.path)
        if request.path == "/":
            self.task = asyncio.get_running_loop().create_task(self._later(respond))
        elif request.path == "/body":
            respond(make_response(200, [], request.body))
        elif request.path == "/big":
            respond(make_response(200, [], bytes(1 << 20)))
        elif request.path.startswith("/echo"):
            respond(make_response(200, [], request.path.encode()))
        else:
            respond(DONE)

    async def _later(self, respond: Callable[[Response], None]) -> None:
        await self.gate.wait()
        respond(DONE)


@asynccontextmanager
async def serving(app: Any, limits: HttpLimits) -> AsyncIterator[tuple[HttpServer, socket.socket]]:
    """A server whose end is left to the test."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = HttpServer(app, limits, Metrics())
        await server.start(listening)
        async with asyncio.timeout(20):
            yield server, listening
            await server.stop()


async def test_stopping_finishes_what_is_in_hand_and_closes_what_is_idle(serve: Serve) -> None:
    app = Gated()
    async with serve(app) as tracker, asyncio.timeout(20):
        idle_reader, idle_writer = await tracker.connect()
        idle_writer.write(NOW)
        await idle_reader.readuntil(b"done")
        app.arrived.clear()
        asking = asyncio.create_task(tracker.ask(GET))
        await app.arrived.wait()
        stopping = asyncio.create_task(tracker.server.stop())
        assert await idle_reader.read() == b""
        assert not stopping.done()
        app.gate.set()
        assert (await asking).endswith(b"done")
        await stopping


async def test_a_draining_server_leaves_new_connections_in_the_queue_and_answers_the_open_ones() -> None:
    async with serving(Gated(), HttpLimits(idle_timeout=600)) as (server, listening):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(NOW)
        assert b"connection: close" not in await reader.readuntil(b"done")
        await server.drain()
        later_reader, later_writer = await asyncio.open_connection(*listening.getsockname())
        later_writer.write(NOW)
        writer.write(NOW)
        answer = await reader.read()
        assert answer.endswith(b"done")
        assert b"\r\nconnection: close\r\n" in answer
        writer.close()
        await server.ended()
        accepted, _ = await asyncio.to_thread(listening.accept)
        assert accepted.recv(100) == NOW
        accepted.sendall(b"from the queue")
        accepted.close()
        assert await later_reader.read() == b"from the queue"
        later_writer.close()


async def test_a_draining_server_lets_idle_clients_have_their_time_and_ends() -> None:
    async with serving(Gated(), QUICK) as (server, listening):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(NOW)
        await reader.readuntil(b"done")
        await server.drain()
        await server.ended()
        assert await reader.read() == b""
        writer.close()


async def test_a_draining_server_finishes_a_request_in_hand_however_long_it_takes() -> None:
    app = Gated()
    async with serving(app, QUICK) as (server, listening):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(GET)
        await app.arrived.wait()
        await server.drain()
        ended = asyncio.create_task(server.ended())
        done, _ = await asyncio.wait({ended}, timeout=0.8)
        assert not done
        app.gate.set()
        assert (await reader.read()).endswith(b"done")
        await ended
        writer.close()


async def test_a_request_that_never_ends_is_given_up_after_the_grace() -> None:
    app = Gated()
    async with serving(app, HttpLimits(grace=0.1)) as (server, listening):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(GET)
        await app.arrived.wait()
        await server.stop()
        assert await reader.read() == b""
        writer.close()
        app.gate.set()
        await app.task


async def test_the_handed_socket_stays_the_callers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for _ in range(2):  # a second server on the same socket: the first has not closed it
            server = HttpServer(Gated(), HttpLimits(), Metrics())
            await server.start(listening)
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                writer.write(NOW)
                await reader.readuntil(b"done")
                writer.close()
                await server.stop()


async def test_a_unix_socket_is_served_and_its_file_stays(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    async with serve(Gated(), host=str(path)) as tracker:
        assert (await tracker.get("/now")).endswith(b"done")
    assert path.is_socket()


# --- requests in order


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
async def test_requests_come_in_pieces_of_any_size(serve: Serve, size: int) -> None:
    octets = b"\r\n" + NOW + POST % (5, b"hello") + LAST
    async with serve(Gated()) as tracker, asyncio.timeout(20):
        reader, writer = await tracker.connect()
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(octets), size):
            writer.write(octets[start : start + size])
            await asyncio.sleep(0)
        answer = await reader.read()
    assert re.findall(rb"\r\n\r\n(\w+)", answer) == [b"doneHTTP", b"helloHTTP", b"done"]


async def test_pipelined_requests_are_answered_in_order_and_not_all_at_once(serve: Serve) -> None:
    app = Gated()
    paths = [f"/echo{number}" for number in range(500)]
    pipeline = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode() for path in paths)
    async with serve(app) as tracker, asyncio.timeout(20):
        reader, writer = await tracker.connect()
        writer.write(GET + pipeline + NOW)
        await app.arrived.wait()
        await asyncio.sleep(0)
        assert app.paths == ["/"], "the next one waits for the answer before it"
        app.gate.set()
        answer = await reader.readuntil(b"\r\n\r\ndone")
        answer = await reader.readuntil(b"\r\n\r\ndone")
    assert [found.decode() for found in re.findall(rb"\r\n\r\n(/echo\d+)", answer)] == paths


async def test_a_client_that_takes_no_answers_gets_no_more_and_is_dropped(serve: Serve) -> None:
    app = Gated()
    limits = HttpLimits(idle_timeout=0.3)
    async with serve(app, limits) as tracker, asyncio.timeout(20):
        _, writer = await tracker.connect()
        writer.transport.pause_reading()
        writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        await until(lambda: tracker.count("tracker_connections_dropped_total", "answer not taken"))
        assert len(app.paths) < 30, "answers are made as they are taken"
        writer.transport.abort()


async def test_whoever_takes_its_answers_late_gets_all_of_them(serve: Serve) -> None:
    async with serve(Gated()) as tracker, asyncio.timeout(20):
        reader, writer = await tracker.connect()
        writer.transport.pause_reading()
        writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 20 + LAST)
        await asyncio.sleep(0.05)
        writer.transport.resume_reading()
        answer = await reader.read()
        assert answer.count(b"HTTP/1.1 200 OK") == 21
        assert answer.endswith(b"done")


async def test_a_client_that_says_it_sends_no_more_gets_its_answer(serve: Serve) -> None:
    app = Gated()
    async with serve(app) as tracker, asyncio.timeout(20):
        reader, writer = await tracker.connect()
        writer.write(GET)
        await app.arrived.wait()
        writer.write_eof()
        await asyncio.sleep(0.02)
        app.gate.set()
        assert (await reader.read()).endswith(b"done")


async def test_http_1_0_closes_unless_it_asks_otherwise(serve: Serve) -> None:
    async with serve(Gated()) as tracker, asyncio.timeout(20):
        answer = await tracker.ask(b"GET /now HTTP/1.0\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in answer
        reader, writer = await tracker.connect()
        writer.write(b"GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
        for _ in range(2):
            assert b"\r\nconnection: keep-alive\r\n" in await reader.readuntil(b"done")


# --- bodies


async def test_a_body_is_read_where_one_is_taken(serve: Serve) -> None:
    async with serve(Gated()) as tracker, asyncio.timeout(20):
        reader, writer = await tracker.connect()
        for body in (b"x", b"GET / HTTP/1.1\r\n\r\n", b"y" * 4096, b""):
            writer.write(POST % (len(body), body))
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(body)) == body
        writer.write(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        POST % (4097, b"z" * 4097),
        POST.replace(b"/body", b"/now") % (2, b"ok"),
        b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
async def test_what_follows_a_body_that_is_not_read_is_no_request(serve: Serve, request_: bytes) -> None:
    async with serve(Gated()) as tracker:
        answer = await tracker.ask(request_ + NOW)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer


# --- time and number


@pytest.mark.parametrize(
    "sent", [b"", b"G", b"GET /now HTTP/1.1\r\nHost", POST % (5, b"hell"), NOW, NOW + b"GET", b"\r\n"]
)
async def test_slow_and_idle_connections_are_closed(serve: Serve, sent: bytes) -> None:
    async with serve(Gated(), QUICK) as tracker:
        answer = await tracker.ask(sent)  # returns when the tracker closes
        assert answer.count(b"done") == sent.count(b"/now HTTP/1.1\r\nHost: a\r\n\r\n")
        assert tracker.count("tracker_connections_dropped_total", "request too slow") == (sent != NOW)


async def test_the_time_for_a_header_is_not_renewed_by_each_octet(serve: Serve) -> None:
    async with serve(Gated(), QUICK) as tracker, asyncio.timeout(20):
        reader, writer = await tracker.connect()
        writer.write(b"GET /now HTTP/1.1\r\nX: ")
        closed = asyncio.create_task(reader.read())
        while not closed.done():
            writer.write(b"y")
            await asyncio.sleep(0.01)
        assert closed.exception() is not None or closed.result() == b""
        assert tracker.count("tracker_connections_dropped_total", "request too slow") == 1


async def test_when_there_are_too_many_the_longest_idle_goes_first_and_then_the_slowest(serve: Serve) -> None:
    async with serve(Gated(), HttpLimits(connections=3, header_timeout=60, idle_timeout=60)) as tracker:
        async with asyncio.timeout(20):
            slow = await tracker.connect()
            slow[1].write(b"GET")
            slower = await tracker.connect()
            slower[1].write(b"GET")
            idle = await tracker.connect()
            idle[1].write(NOW)
            await idle[0].readuntil(b"done")
            for closed in (idle, slow, slower):
                _, quick_writer = await tracker.connect()
                quick_writer.write(GET)
                assert await closed[0].read() == b""
        assert tracker.count("tracker_connections_dropped_total", "too many") == 3
        assert tracker.count("tracker_connections_open") == 3
        tracker.server.app.gate.set()


async def test_when_all_are_busy_the_newcomer_goes(serve: Serve) -> None:
    app = Gated()
    async with serve(app, HttpLimits(connections=2)) as tracker, asyncio.timeout(20):
        asking = [asyncio.create_task(tracker.ask(LAST.replace(b"now", b""))) for _ in "12"]
        await until(lambda: len(app.paths) == 2)
        reader, _ = await tracker.connect()
        assert await reader.read() == b""
        app.gate.set()
        for answer in await asyncio.gather(*asking):
            assert answer.endswith(b"done")


async def test_a_client_that_vanishes_harms_nobody(serve: Serve) -> None:
    app = Gated()
    async with serve(app) as tracker, asyncio.timeout(20):
        _, writer = await tracker.connect()
        writer.write(GET)
        await app.arrived.wait()
        writer.transport.abort()
        reader, writer = await tracker.connect()
        writer.write(NOW)
        await reader.readuntil(b"done")
        assert tracker.count("tracker_connections_open") == 2, "the request of the one that has gone is still in hand"
        app.gate.set()
        await app.task
        assert tracker.count("tracker_connections_open") == 1


async def test_an_answer_to_what_is_no_request_reaches_a_client_that_still_sends(serve: Serve) -> None:
    async with serve(Gated()) as tracker, asyncio.timeout(20):
        reader, writer = await tracker.connect()
        writer.write(b"GET /" + b"y" * 70_000)
        await writer.drain()
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 414 ")
        for _ in range(20):
            writer.write(b"y" * 10_000)
            await writer.drain()
        assert b"\r\nconnection: close\r\n" in await reader.read()
        assert tracker.count("tracker_requests_total", "bad_request") == 1
