"""A running tracker on a port of its own, and a client that shows every octet of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from mailwake.tracker.granian_server import HttpLimits, serve_tracker

PATIENCE = 20.0


class RunningTracker:
    """A tracker that answers on `address`; `stop` begins its graceful end, `ended` is its task."""

    def __init__(self, address: tuple[str, int], stop: asyncio.Event, ended: asyncio.Task[None]) -> None:
        self.address = address
        self.stop = stop
        self.ended = ended
        self._writers: list[asyncio.StreamWriter] = []

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


@pytest.fixture
def serve() -> Serve:
    """A running tracker for the length of an `async with`; it must end well."""

    @contextlib.asynccontextmanager
    async def run(app: Any, limits: HttpLimits | None = None, host: str = "127.0.0.1") -> AsyncIterator[RunningTracker]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, 0), family=family, backlog=128) as listening:
            stop = asyncio.Event()
            ended = asyncio.create_task(serve_tracker(listening, app, stop=stop, limits=limits))
            tracker = RunningTracker(listening.getsockname()[:2], stop, ended)
            try:
                yield tracker
            finally:
                stop.set()
                async with asyncio.timeout(PATIENCE):
                    await ended
                    await tracker.disconnect()

    return run
