"""What the tracker relies on in Granian: it serves the socket it is given, times out, limits, and ends gracefully."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from granian.server.embed import Server

from mailwake.errors import StartupError
from mailwake.tracker import granian_server
from mailwake.tracker.granian_server import HttpLimits, serve_tracker

Serve = Callable[..., AbstractAsyncContextManager[Any]]
"""The fixture of conftest.py."""

QUICK = HttpLimits(header_timeout=0.3)


class Gated:
    """An application that answers when the gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.arrived = asyncio.Event()

    async def __rsgi__(self, request: Any, responder: Any) -> None:
        self.arrived.set()
        if request.path != "/now":
            await self.gate.wait()
        responder.response_bytes(200, [("content-type", "text/plain")], b"done")


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
NOW = b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_stopping_finishes_what_is_in_hand_and_closes_what_is_idle(serve: Serve) -> None:
    app = Gated()
    async with serve(app) as tracker, asyncio.timeout(20):
        idle_reader, idle_writer = await tracker.connect()
        idle_writer.write(NOW)
        await idle_reader.readuntil(b"done")
        asking = asyncio.create_task(tracker.ask(GET))
        app.arrived.clear()
        await app.arrived.wait()
        tracker.stop.set()
        assert await idle_reader.read() == b""
        assert not tracker.ended.done()
        app.gate.set()
        assert (await asking).endswith(b"done")
        await tracker.ended
        idle_writer.close()


async def test_a_draining_server_leaves_new_connections_in_the_queue_and_answers_the_open_ones() -> None:
    app = Gated()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop, drain = asyncio.Event(), asyncio.Event()
        limits = HttpLimits(header_timeout=1)
        serving = asyncio.create_task(serve_tracker(listening, app, stop=stop, drain=drain, limits=limits))  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(NOW)
            assert b"connection: close" not in (await reader.readuntil(b"done")).lower()
            drain.set()
            while not reader.at_eof():
                writer.write(NOW)
                answer = await reader.readuntil(b"done")
                if b"connection: close" in answer.lower():
                    assert await reader.read() == b""
            later_reader, later_writer = await asyncio.open_connection(*listening.getsockname())
            later_writer.write(NOW)
            await serving
            accepted, _ = await asyncio.to_thread(listening.accept)
            assert accepted.recv(100) == NOW
            accepted.sendall(b"from the queue")
            accepted.close()
            assert await later_reader.read() == b"from the queue"
            writer.close()
            later_writer.close()


async def test_a_draining_server_finishes_a_request_in_hand_however_long_it_takes() -> None:
    app = Gated()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        drain = asyncio.Event()
        limits = HttpLimits(header_timeout=0.1)
        serving = asyncio.create_task(
            serve_tracker(listening, app, stop=asyncio.Event(), drain=drain, limits=limits)  # type: ignore[arg-type]
        )
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(GET)
            await app.arrived.wait()
            drain.set()
            done, _ = await asyncio.wait({serving}, timeout=1.5)
            assert not done
            app.gate.set()
            assert (await reader.read()).endswith(b"done")
            await serving
            writer.close()


async def test_a_request_that_never_ends_is_given_up_after_the_grace() -> None:
    app = Gated()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve_tracker(listening, app, stop=stop, limits=HttpLimits(grace=0.1)))  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(GET)
            await app.arrived.wait()
            stop.set()
            await serving
            writer.close()
        app.gate.set()


async def test_the_handed_socket_stays_the_callers(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for _ in range(2):  # a second server on the same socket: the first has not closed it
            stop = asyncio.Event()
            serving = asyncio.create_task(serve_tracker(listening, Gated(), stop=stop))  # type: ignore[arg-type]
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                writer.write(NOW)
                await reader.readuntil(b"done")
                writer.close()
                stop.set()
                await serving


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /now HTTP/1.1\r\nHost", NOW])
async def test_slow_and_idle_connections_are_closed(serve: Serve, sent: bytes) -> None:
    async with serve(Gated(), QUICK) as tracker:
        answer = await tracker.ask(sent)  # returns when the tracker closes
        assert answer.count(b"done") == (sent == NOW)


async def test_many_idle_connections_starve_nobody(serve: Serve) -> None:
    async with serve(Gated(), HttpLimits(header_timeout=20)) as tracker, asyncio.timeout(60):
        idle = [await tracker.connect() for _ in range(300)]
        for _, writer in idle[:150]:
            writer.write(NOW)
        for reader, _ in idle[:150]:
            await reader.readuntil(b"done")
        reader, writer = await tracker.connect()
        writer.write(NOW)
        await reader.readuntil(b"done")
        for _, other in [*idle, (reader, writer)]:
            other.close()


async def test_a_client_that_vanishes_harms_nobody(serve: Serve) -> None:
    app = Gated()
    async with serve(app) as tracker, asyncio.timeout(20):
        _, writer = await tracker.connect()
        writer.write(GET)
        await app.arrived.wait()
        writer.transport.abort()
        app.gate.set()
        reader, writer = await tracker.connect()
        writer.write(NOW)
        await reader.readuntil(b"done")
        writer.close()


def test_a_granian_that_changed_is_named_in_the_error() -> None:
    with pytest.raises(StartupError, match=r"granian \d+\.\d+.*it has no _gone.*pyproject"):
        granian_server._check_granian(object(), ("_gone",))


def test_this_granian_has_what_is_used() -> None:
    granian_server._check_granian(Server, granian_server._USED_PRIVATELY)
