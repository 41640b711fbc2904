"""The tracker's HTTP server: accepts, keeps the time of every connection, ends the late ones, stops in order.

Its own, and small, because a tracker needs little of HTTP and that little quickly: see docs/dependencies.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import sys
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol

from mailwake.tracker.arrivals import Arrival
from mailwake.tracker.http_connection import HttpConnection
from mailwake.tracker.request_reader import RequestReader
from mailwake.transport.handshake import Handshake

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from mailwake.metrics import Metrics
    from mailwake.tracker.arrivals import Front
    from mailwake.tracker.http_limits import HttpLimits
    from mailwake.tracker.messages import HttpApp, Response

BACKLOG = 1024
"""Connections that wait in a socket's queue, as many as before it was served: the loop's own number is smaller."""

SWEEP_SECONDS = 0.5
"""How often the connections whose time is over are looked for: one timer a server, not one a connection."""


_TURNS_TO_ACCEPT = 4
"""Turns of the loop from an accepted socket to its protocol."""


class Client(Protocol):
    """What the server keeps the time of: a connection, or what becomes one."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is in hand."""
        ...

    def close(self) -> None:
        """Close it; nothing is in hand."""
        ...

    def abort(self) -> None:
        """Drop it now."""
        ...


class HttpServer:
    """Serves an application on any number of listening sockets; belongs to the event loop that it is started in.

    Every connection that waits for something stands in one of three queues, the one that has waited longest first, so
    that looking for those whose time is over costs nothing for the others, and it is known whom to close when there
    are too many: the longest idle, then the one that has been longest about its request.
    """

    def __init__(self, app: HttpApp, limits: HttpLimits, metrics: Metrics) -> None:
        self.app = app
        self.limits = limits
        self.reader = RequestReader(target_octets=limits.target_octets, header_fields=limits.header_fields)
        self.draining = False
        """Whether each answer is the last one on its connection."""
        self.date = b""
        """The Date field of an answer (RFC 9110 §6.6.1)."""
        self._clients: set[Client] = set()
        self._idle: dict[Client, float] = {}
        self._unfinished: dict[Client, float] = {}
        self._ending: dict[Client, float] = {}
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._metrics = metrics
        self._accepted = metrics.counter("tracker_connections_total")
        self._open = metrics.counter("tracker_connections_open")
        self._bad_requests = metrics.counter("tracker_requests_total", "bad_request")

    async def begin(self) -> None:
        """Keep the time from now on; `start` does it, too."""
        if self._sweeper is None:
            self._loop = asyncio.get_running_loop()
            self._now = self._loop.time
            self._sweep()

    async def start(self, listening: socket.socket, front: Front | None = None) -> None:
        """Begin to accept connections on a socket, plain ones unless `front` says what comes before HTTP.

        A duplicate is used: the caller's stays open.
        """
        loop = asyncio.get_running_loop()
        await self.begin()
        own = listening.dup()
        make: Callable[[], asyncio.Protocol] = functools.partial(HttpConnection, self)
        if front is not None and not front.is_plain:
            make = functools.partial(Arrival, self, front)
        if own.family == socket.AF_UNIX and sys.version_info >= (3, 13):
            # The file is the supervisor's: it stays when this worker stops listening.
            server = await loop.create_unix_server(make, sock=own, backlog=BACKLOG, cleanup_socket=False)
        elif own.family == socket.AF_UNIX:
            server = await loop.create_unix_server(make, sock=own, backlog=BACKLOG)
        else:
            server = await loop.create_server(make, sock=own, backlog=BACKLOG)
        self._servers.append(server)

    async def drain(self) -> None:
        """Accept no more; `ended` returns when every client has had its last answer.

        Connections not accepted yet stay in the sockets' queues, for whoever else holds those sockets. Clients that
        are connected get an answer to what they still ask, with `Connection: close`; those that ask nothing are closed
        when their idle time is over. So none finds its connection closed under a request.
        """
        await asyncio.sleep(0)  # what the loop has been told of, it accepts first: nobody else may hold the socket
        self.draining = True
        self._close_servers()
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)

    async def ended(self) -> None:
        """Return when no connection is left."""
        self._emptied = self._emptied or asyncio.Event()
        if self._clients:
            await self._emptied.wait()

    async def stop(self) -> None:
        """Accept no more, close what waits, and give requests in hand their time to end."""
        self.draining = True
        self._close_servers()
        for client in [client for client in self._clients if not client.is_busy]:
            client.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended(), self.limits.grace)
        for client in list(self._clients):
            client.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _close_servers(self) -> None:
        for server in self._servers:
            server.close()

    # --- what connections tell

    def opened(self, client: Client) -> None:
        """It waits for its first request; somebody else may have to go."""
        self._accepted.inc()
        self._open.inc()
        self._clients.add(client)
        self._unfinished[client] = self._now() + self.limits.header_timeout
        if len(self._clients) > self.limits.connections:
            self._give_up("too many", next(iter(self._idle), None) or next(iter(self._unfinished)))

    def let_in(
        self,
        arrival: Client,
        transport: asyncio.Transport,
        client: tuple[str, int],
        tls: ssl.SSLContext | None,
        octets: bytes,
    ) -> None:
        """The client of an arrival is known, and `octets` of it were read already."""
        if tls is None:
            self._connect(arrival, transport, client, octets)
            return
        deadline = self._now() + self.limits.header_timeout
        handshake = Handshake(self, transport, client, deadline)
        self._replace(arrival, handshake)
        handshake.begin(tls, octets)

    def handshake_done(self, handshake: Handshake, octets: bytes) -> None:
        """The client that TLS comes first with may now speak; `octets` of it came meanwhile."""
        self._metrics.counter("tracker_tls_handshakes_total", "completed").inc()
        self._connect(handshake, handshake.transport, handshake.client, octets)

    def handshake_failed(self, handshake: Handshake, result: str, why: str) -> None:
        """There will be no connection."""
        self._metrics.counter("tracker_tls_handshakes_total", result).inc()
        self.closed(handshake)

    def _connect(self, before: Client, transport: asyncio.Transport, client: tuple[str, int], octets: bytes) -> None:
        connection = HttpConnection(self)
        self._replace(before, connection)
        transport.set_protocol(connection)
        connection.begin(transport, client[0])
        if octets:
            connection.data_received(octets)

    def _replace(self, before: Client, after: Client) -> None:
        self._clients.discard(before)
        self._unfinished.pop(before, None)
        self._clients.add(after)
        self._unfinished[after] = self._now() + self.limits.header_timeout

    def begun(self, client: Client) -> None:
        """Some of a request has come: the time for it runs from its first octet, whatever else comes."""
        if client not in self._unfinished:
            self._idle.pop(client, None)
            self._unfinished[client] = self._now() + self.limits.header_timeout

    def in_hand(self, client: Client) -> None:
        """A request is complete; its answer is waited for."""
        if self._idle.pop(client, None) is None:
            self._unfinished.pop(client, None)

    def answered(self, client: Client) -> None:
        """It may ask again."""
        self._ending.pop(client, None)
        self._idle[client] = self._now() + self.limits.idle_timeout

    def ending(self, client: Client) -> None:
        """It has got its last answer, and has to go soon."""
        self._idle.pop(client, None)
        self._unfinished.pop(client, None)
        self._ending[client] = self._now() + self.limits.idle_timeout

    clogged = ending  # who does not read its answers is dropped in the same time

    def closed(self, client: Client) -> None:
        """It has gone; with a request in hand it still counts."""
        for queue in (self._idle, self._unfinished, self._ending):
            queue.pop(client, None)
        if client in self._clients and not client.is_busy:
            self._clients.discard(client)
            self._open.inc(-1)
            if not self._clients and self._emptied is not None:
                self._emptied.set()

    def count_dropped(self, reason: str) -> None:
        """A connection ends without its client having been let in, or having had its say."""
        self._metrics.counter("tracker_connections_dropped_total", reason).inc()

    def count_refused(self, response: Response) -> None:
        """Something came that is no request that can be answered."""
        self._bad_requests.inc()

    # --- the time

    def _sweep(self) -> None:
        now = self._now()
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        self._end_late(self._idle, now, "")
        self._end_late(self._unfinished, now, "request too slow")
        self._end_late(self._ending, now, "answer not taken")
        self._sweeper = self._loop.call_later(min(SWEEP_SECONDS, self.limits.header_timeout / 2), self._sweep)

    def _end_late(self, queue: dict[Client, float], now: float, reason: str) -> None:
        while queue and queue[client := next(iter(queue))] <= now:
            self._give_up(reason, client)

    def _give_up(self, reason: str, client: Client) -> None:
        if reason:
            self.count_dropped(reason)
        for queue in (self._idle, self._unfinished, self._ending):
            queue.pop(client, None)
        client.abort()
