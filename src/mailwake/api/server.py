"""uvicorn, embedded in the collector's event loop on sockets that are handed over; `connection.py` knows it, too."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from uvicorn import Config, Server

from mailwake.api.connection import LimitedConnection, with_limits
from mailwake.api.http_limits import HttpLimits
from mailwake.clock import SystemClock
from mailwake.errors import StartupError
from mailwake.metrics import Metrics

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mailwake.clock import Clock


async def serve_api(
    sockets: Sequence[socket.socket],
    app: ASGIApp,
    stop: asyncio.Event,
    drain: asyncio.Event | None = None,
    *,
    on_drain: Callable[[], None] | None = None,
    limits: HttpLimits | None = None,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
) -> None:
    """Answer HTTP/1.1 on the listening `sockets` until `stop` is set; then the requests in hand are finished.

    Once `drain` is set nothing more is accepted, every answer closes its connection, and it returns when no connection
    is left, after the idle time of connections at the latest. `on_drain` is called when nothing is accepted any more.
    Duplicates of the sockets are used: the caller's stay open. Signals are the caller's. Raises StartupError when the
    server ends by itself.
    """
    limits = limits or HttpLimits()
    draining = _Draining(app)
    server = _EmbeddedServer(draining, limits, clock or SystemClock(), metrics or Metrics())
    serving = asyncio.create_task(server.serve([each.dup() for each in sockets]))
    sweeping = asyncio.create_task(server.sweep_regularly())
    told = [asyncio.create_task(event.wait()) for event in (stop, drain or asyncio.Event())]
    try:
        await asyncio.wait({serving, *told}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done() and not stop.is_set():
            draining.begun = True
            server.stop_accepting()
            if on_drain is not None:
                on_drain()
            deserted = asyncio.create_task(server.deserted())
            await asyncio.wait({deserted, told[0]}, return_when=asyncio.FIRST_COMPLETED)
            deserted.cancel()
        if serving.done():
            serving.result()
            raise StartupError("the API's HTTP server ended by itself; see the log for the reason")
        server.end()
        await asyncio.wait({serving}, timeout=limits.grace + 2 * limits.sweep_seconds)
    finally:
        for task in (*told, sweeping, serving):
            task.cancel()
        await asyncio.gather(*told, sweeping, serving, return_exceptions=True)
        server.abort_all()


class _Draining:
    """The application; once `begun`, each of its answers is the last one on its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if self.begun and message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, send_last)


class _EmbeddedServer(Server):
    """uvicorn's server without its signal handlers, its logging and its endless patience."""

    def __init__(self, app: ASGIApp, limits: HttpLimits, clock: Clock, metrics: Metrics) -> None:
        def count(status: int) -> None:
            metrics.counter("api_requests_total", "none", str(status)).inc()

        self._limits = limits
        self._ending = asyncio.Event()
        super().__init__(
            Config(
                app,
                http=with_limits(limits, clock, count),
                ws="none",
                lifespan="off",
                interface="asgi3",
                loop="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=int(limits.idle_timeout),
                timeout_graceful_shutdown=int(limits.grace),
            )
        )
        # What it has to say about a request, our own log says; without a handler Python would print it.
        quiet = logging.getLogger("uvicorn.error")
        quiet.handlers = [logging.NullHandler()]
        quiet.propagate = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield

    @property
    def _open(self) -> list[LimitedConnection]:
        return [each for each in self.server_state.connections if isinstance(each, LimitedConnection)]

    async def main_loop(self) -> None:
        """Keep the date of answers right until the end; uvicorn's own wakes ten times a second."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), 1.0)

    def end(self) -> None:
        """Accept nothing more, and finish what is in hand."""
        self.should_exit = True
        self._ending.set()

    def stop_accepting(self) -> None:
        """Close our duplicates of the sockets: what waits in their queues is for others who have them."""
        for server in self.servers:
            server.close()

    async def deserted(self) -> None:
        """Return when every client has gone, or has had the idle time to do so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.idle_timeout + self._limits.sweep_seconds):
                while self.server_state.connections:  # noqa: ASYNC110  # uvicorn has no event for it
                    await asyncio.sleep(0.1)

    async def sweep_regularly(self) -> None:
        """Look after slow clients."""
        while True:
            await asyncio.sleep(self._limits.sweep_seconds)
            for each in self._open:
                each.sweep()

    def abort_all(self) -> None:
        """End what is still there."""
        for each in self._open:
            each.transport.abort()
