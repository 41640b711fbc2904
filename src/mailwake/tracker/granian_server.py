"""Granian, embedded in a worker's own event loop on a socket that is handed over; the only module that knows Granian.

Granian's embedded server binds its own socket. Ours is bound by the supervisor, so that connections wait in its queue
while a worker is restarted; therefore one private method is replaced here. `_check_granian` says so clearly if a
release of Granian changes what this relies on, and the tests of this module send real requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from mailwake.errors import StartupError

if TYPE_CHECKING:
    import socket

    from mailwake.tracker.app import TrackerApp

_USED_PRIVATELY = ("_init_shared_socket", "_spawn_rsgi_worker", "_stop_workers")
_SOCKET_ATTRIBUTES = ("_shd", "_sfd", "_ssp")


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
    sock: socket.socket, app: TrackerApp, *, stop: asyncio.Event, limits: HttpLimits | None = None
) -> None:
    """Answer HTTP/1.1 on `sock`, a listening socket, until `stop` is set; then finish the requests in hand.

    A duplicate of the socket is used: the caller's stays open. HTTP/2 without TLS is not offered: no browser speaks it,
    and Granian's detection of it waits for the first bytes without a timeout. Raises StartupError when this Granian
    cannot do it, or its server ends by itself.
    """
    limits = limits or HttpLimits()
    server = _EmbeddedServer(sock, app, limits)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
            raise StartupError("the tracker's HTTP server ended by itself; see the log for the reason")
        server.stop()  # type: ignore[no-untyped-call]  # Granian's own signature
        await asyncio.wait({serving}, timeout=limits.grace)
    finally:
        stopping.cancel()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


class _EmbeddedServer(Server):
    """Granian's embedded server with our socket instead of one that it binds."""

    def __init__(self, sock: socket.socket, app: TrackerApp, limits: HttpLimits) -> None:
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
