"""A running tracker on a port of its own, and a client that shows every octet of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import uvloop

from mailwake.metrics import Metrics
from mailwake.tracker.http_limits import HttpLimits
from mailwake.tracker.http_server import HttpServer

PATIENCE = 20.0

BOTH_LOOPS = ("test_http_server.py", "test_arrivals.py")


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What knows transports is tested on the workers' loop and on Python's own: they differ in what they do at once."""
    both = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return both if item.path.name in BOTH_LOOPS else {"uvloop": uvloop.new_event_loop}


class RunningTracker:
    """A server that answers on `address`."""

    def __init__(self, address: Any, server: HttpServer, metrics: Metrics) -> None:
        self.address = address
        self.server = server
        self.metrics = metrics
        self._writers: list[asyncio.StreamWriter] = []

    def count(self, name: str, *labels: str) -> float:
        return self.metrics.counter(name, *labels).value

    async def ask(self, request: bytes) -> bytes:
        """Send these octets and return all that comes back until the tracker closes."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await self.connect()
            writer.write(request)
            return await reader.read(-1)

    async def get(self, path: str, *fields: str, method: str = "GET", host: str = "links.example") -> bytes:
        """The whole answer to a plain request on a connection of its own."""
        lines = (f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *fields, "", "")
        return await self.ask("\r\n".join(lines).encode("latin-1"))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.address, str):
            reader, writer = await asyncio.open_unix_connection(self.address, limit=1 << 22)
        else:
            reader, writer = await asyncio.open_connection(*self.address, limit=1 << 22)
        self._writers.append(writer)
        return reader, writer

    async def disconnect(self) -> None:
        """Close every connection of this client."""
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


Serve = Callable[..., AbstractAsyncContextManager[RunningTracker]]


def listening_socket(host: str) -> socket.socket:
    """A listening socket on a free port of `host`, or at the path of a Unix socket."""
    if host.startswith("/"):
        made = socket.socket(socket.AF_UNIX)
        made.bind(host)
        made.listen(128)
        return made
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family, backlog=128)


@pytest.fixture
def serve() -> Serve:
    """A running tracker for the length of an `async with`; it must end well."""

    @contextlib.asynccontextmanager
    async def run(app: Any, limits: HttpLimits | None = None, host: str = "127.0.0.1") -> AsyncIterator[RunningTracker]:
        metrics = Metrics()
        server = HttpServer(app, limits or HttpLimits(), metrics)
        with listening_socket(host) as listening:
            await server.start(listening)
            name = listening.getsockname()
            tracker = RunningTracker(name if isinstance(name, str) else name[:2], server, metrics)
            try:
                yield tracker
            finally:
                async with asyncio.timeout(PATIENCE):
                    await server.stop()
                    await tracker.disconnect()

    return run
