"""Granian, embedded in a worker's own event loop on a socket that is handed over; the only module that knows Granian.

Granian's embedded server binds its own socket. Ours is bound by the supervisor, so that connections wait in its queue
while a worker is restarted; therefore one private method is replaced here. `_check_granian` says so clearly if a
release of Granian changes what this relies on, and the tests of this module send real requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from mailwake.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailwake.tracker.app import TrackerApp
    from mailwake.tracker.rsgi import HeaderFields, Request, Responder

_USED_PRIVATELY = ("_init_shared_socket", "_spawn_rsgi_worker", "_stop_workers")
_SOCKET_ATTRIBUTES = ("_shd", "_sfd", "_ssp")
_CLOSE = ("connection", "close")

DRAIN_MARGIN = 1.0
"""Seconds beyond the idle time of connections before a draining server takes them all for closed."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one worker allows its clients."""

    header_timeout: float = 5.0
    """Seconds in which a request's header must be complete, and that an idle connection is kept."""

    header_bytes: int = 65_536
    """About the longest request header (Granian's buffer may double before it looks); a token has up to 43,696."""

    connections: int = 16_384
    """Connections open at once, idle ones too; further ones wait in the socket's queue."""

    grace: float = 30.0
    """Seconds that requests in hand have for their end when the server stops."""


async def serve_tracker(
    sock: socket.socket,
    app: TrackerApp,
    *,
    stop: asyncio.Event,
    drain: asyncio.Event | None = None,
    on_drain: Callable[[], None] | None = None,
    limits: HttpLimits | None = None,
) -> None:
    """Answer HTTP/1.1 on `sock`, a listening socket, until `stop` is set; then finish the requests in hand.

    Once `drain` is set it accepts no more (connections wait in the socket's queue for whoever else serves it), answers
    on every open connection with `Connection: close`, and returns when the last one has had its idle time. So no client
    finds its connection closed under a request, which `stop` cannot promise to those that are idle. `on_drain` is
    called when nothing is accepted any more.

    A duplicate of the socket is used: the caller's stays open. HTTP/2 without TLS is not offered: no browser speaks it,
    and Granian's detection of it waits for the first bytes without a timeout. Raises StartupError when this Granian
    cannot do it, or its server ends by itself.
    """
    limits = limits or HttpLimits()
    draining = _Draining(app)
    server = _EmbeddedServer(sock, draining, limits)
    serving = asyncio.create_task(server.serve())
    told = [asyncio.create_task(event.wait()) for event in (stop, drain or asyncio.Event())]
    try:
        await asyncio.wait({serving, *told}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done() and not stop.is_set():
            draining.begun = True
            server.stop_accepting()
            if on_drain is not None:
                on_drain()
            idle_time = limits.header_timeout + DRAIN_MARGIN
            await asyncio.wait({serving, told[0]}, timeout=idle_time, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
            raise StartupError("the tracker's HTTP server ended by itself; see the log for the reason")
        server.stop()  # type: ignore[no-untyped-call]  # Granian's own signature
        await asyncio.wait({serving}, timeout=limits.grace)
    finally:
        for task in (*told, serving):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


class _Draining:
    """The application; once `begun`, each of its answers is the last one on its connection."""

    def __init__(self, app: TrackerApp) -> None:
        self._answer = app.__rsgi__
        self.begun = False

    def __rsgi__(self, request: Request, responder: Responder) -> Awaitable[None]:
        return self._answer(request, _LastAnswer(responder) if self.begun else responder)


class _LastAnswer:
    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    def response_empty(self, status: int, headers: HeaderFields, /) -> None:
        self._responder.response_empty(status, _closing(headers))

    def response_bytes(self, status: int, headers: HeaderFields, body: bytes, /) -> None:
        self._responder.response_bytes(status, _closing(headers), body)


def _closing(headers: HeaderFields) -> HeaderFields:
    return headers if _CLOSE in headers else [*headers, _CLOSE]


class _EmbeddedServer(Server):
    """Granian's embedded server with our socket instead of one that it binds."""

    def __init__(self, sock: socket.socket, app: _Draining, limits: HttpLimits) -> None:
        _check_granian(Server, _USED_PRIVATELY)
        super().__init__(
            app,
            port=0,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=int(limits.header_timeout * 1000), max_buffer_size=limits.header_bytes
            ),
            websockets=False,
            backpressure=limits.connections,
            log_enabled=False,
        )
        _check_granian(self, _SOCKET_ATTRIBUTES)
        self._sock = sock

    def _init_shared_socket(self) -> None:
        # Granian sets it non-blocking, and closes the descriptor when it ends: hence the duplicate.
        copy = self._sock.dup()
        copy.setblocking(False)
        descriptor = copy.detach()
        self._sfd: Any = descriptor
        self._shd: Any = _socket_holder(descriptor)
        self._ssp: Any = None

    def stop_accepting(self) -> None:
        """Accept no more connections; those that are open are served on.

        Granian only knows how to stop altogether. So its descriptors of our socket are made to mean one that nobody can
        connect to; dup2 is atomic, so each connection is either accepted and served or stays in the queue.
        """
        with _deserted_socket() as deserted:
            for name in os.listdir("/dev/fd"):
                descriptor = int(name)
                with contextlib.suppress(OSError):  # closed meanwhile, as the descriptor that listdir used
                    if descriptor != self._sock.fileno() and os.path.sameopenfile(descriptor, self._sock.fileno()):
                        os.dup2(deserted.fileno(), descriptor, inheritable=False)


def _deserted_socket() -> socket.socket:
    """A listening socket without a name by which anybody could connect to it."""
    deserted = socket.socket(socket.AF_UNIX)
    with tempfile.TemporaryDirectory() as directory:
        deserted.bind(str(Path(directory, "s")))
    deserted.listen(1)
    deserted.setblocking(False)
    return deserted


def _socket_holder(descriptor: int) -> Any:
    try:
        from granian._granian import SocketHolder

        return SocketHolder(descriptor, False, 1024)  # type: ignore[call-arg]  # Granian's stub lacks the constructor
    except (ImportError, TypeError) as error:
        raise _unsupported(str(error)) from error


def _check_granian(where: object, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not hasattr(where, name)]
    if missing:
        raise _unsupported(f"it has no {', '.join(missing)}")


def _unsupported(why: str) -> StartupError:
    return StartupError(
        f"granian {granian.__version__} is not one that mailwake's tracker can embed ({why}); "
        "install the version that mailwake's pyproject.toml names"
    )
