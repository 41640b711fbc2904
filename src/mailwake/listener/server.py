"""A listener: accepts connections on one address, keeps count of them, sweeps the silent ones, stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import TYPE_CHECKING

from mailwake.config.networks import parse_client
from mailwake.listener import address_limits
from mailwake.listener.address_limits import AddressLimits, AddressLimitSettings
from mailwake.listener.arrivals import Arrival, ProxiedArrival
from mailwake.listener.connection_maker import ConnectionMaker
from mailwake.listener.peers import Peers
from mailwake.listener.refusals import Refusals
from mailwake.smtp.replies import Reply
from mailwake.transport.handshake import Handshake
from mailwake.transport.tls import client_fingerprint

if TYPE_CHECKING:
    from mailwake.clock import Clock
    from mailwake.listener.accounts import Accounts
    from mailwake.listener.connection import Connection
    from mailwake.listener.conversation import OnRejected
    from mailwake.listener.free_space import FreeSpace
    from mailwake.listener.memory_budget import MemoryBudget
    from mailwake.listener.session import MessageReceiver
    from mailwake.listener.settings import ListenerSettings
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import Policies

SWEEP_SECONDS = 1.0
"""How often silent connections are looked for: one timer a listener, not one a connection."""

BACKLOG = 1024
"""Connections that wait in a socket's queue, as many as before it was served: the loop's own number is smaller."""

_TOO_MANY = "too many"
_REFUSALS = {
    _TOO_MANY: Reply(421, "4.3.2", "Too many connections, try again later"),
    address_limits.TOO_MANY: Reply(421, "4.7.0", "Too many connections from your address, try again later"),
    address_limits.TOO_FAST: Reply(421, "4.7.0", "Too many new connections from your address, try again later"),
}


class Listener:
    """Serves SMTP on one address, which may have several listening sockets."""

    def __init__(
        self,
        settings: ListenerSettings,
        receiver: MessageReceiver,
        accounts: Accounts,
        *,
        policies: Policies,
        budget: MemoryBudget,
        space: FreeSpace | None = None,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
        on_rejected: OnRejected | None = None,
        addresses: AddressLimits | None = None,
    ) -> None:
        """`addresses` is what the listeners of a worker share; without it there is no limit for one address."""
        self.settings = settings
        self._addresses = addresses or AddressLimits(AddressLimitSettings(), clock)
        self._refusals = Refusals(log, settings.name)
        self._maker = ConnectionMaker(
            settings=settings,
            peers=Peers(settings.resolve, settings.relay_networks, settings.extensions),
            addresses=self._addresses,
            refusals=self._refusals,
            receiver=receiver,
            accounts=accounts,
            policies=policies,
            budget=budget,
            space=space,
            clock=clock,
            log=log,
            metrics=metrics,
            on_rejected=on_rejected,
        )
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._connections: set[Connection] = set()
        self._keys: dict[Connection | Handshake, str] = {}
        self._servers: list[asyncio.Server] = []
        self._arriving: set[Arrival | Handshake] = set()
        self._left_alone: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._accepted = metrics.counter("smtp_connections_total")
        self._open = metrics.counter("smtp_connections_open")

    async def start(self, listening: socket.socket) -> None:
        """Begin to accept connections on a socket; may be called for several."""
        loop = asyncio.get_running_loop()
        if listening.family == socket.AF_UNIX and sys.version_info >= (3, 13):
            # The file is the supervisor's: it stays when this worker stops listening.
            server = await loop.create_unix_server(
                self._make_arrival, sock=listening, backlog=BACKLOG, cleanup_socket=False
            )
        else:
            server = await loop.create_server(self._make_arrival, sock=listening, backlog=BACKLOG)
        self._servers.append(server)
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP_SECONDS, self._sweep)

    async def drain(self) -> None:
        """Accept no more, serve the connections there are as ever, and return when the last one has ended.

        Connections not accepted yet stay in the sockets' queues, for whoever else holds those sockets.
        """
        await asyncio.sleep(0)  # what the loop has been told of, it accepts first: nobody else may hold the socket
        self._close_servers()
        await asyncio.sleep(0)
        if not self._empty:
            self._emptied = self._emptied or asyncio.Event()
            await self._emptied.wait()

    @property
    def _empty(self) -> bool:
        # The last are messages in hand whose clients have gone.
        return not (self._connections or self._arriving or self._left_alone)

    async def stop(self, grace: float) -> None:
        """Accept no more, let messages in hand finish for at most `grace` seconds, then drop what is left."""
        self._close_servers()
        self._addresses.end()
        self._refusals.end()
        for arrival in list(self._arriving):
            arrival.stop()
        for connection in list(self._connections):
            connection.stop()
        if self._connections or self._left_alone:
            self._emptied = self._emptied or asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), grace)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*(connection.finished() for connection in self._connections), *self._left_alone)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _close_servers(self) -> None:
        for server in self._servers:
            server.close()

    # --- from an open socket to a connection

    @property
    def now(self) -> float:
        """The time that limits are measured by."""
        return self._clock.monotonic()

    def _make_arrival(self) -> Arrival:
        proxied = self.settings.proxies is not None
        arrival = ProxiedArrival(self, self.settings.limits.command_timeout) if proxied else Arrival(self)
        self._arriving.add(arrival)
        return arrival

    def is_proxy(self, address: str) -> bool:
        """Whether this is a load balancer that may speak the PROXY protocol here."""
        proxies = self.settings.proxies
        return proxies is not None and (self.settings.unix or parse_client(address) in proxies)

    @property
    def crowded(self) -> bool:
        """Whether those whose PROXY header or handshake is waited for, with the connections, are too many."""
        return len(self._connections) + len(self._arriving) > self.settings.limits.connections

    def turn_away(self, arrival: Arrival | Handshake, address: str, reason: str, detail: str) -> None:
        """Count and log a connection that ended before a client was known."""
        self._arriving.discard(arrival)
        self._metrics.counter("smtp_connections_refused_total", reason).inc()
        self._refusals.note(reason, address, self.now, detail)
        self._tell_emptied()

    def admit(self, arrival: Arrival, client: tuple[str, int], octets: bytes = b"") -> None:
        """Let in the client that has arrived, from whom `octets` were read already, or turn it away with 421."""
        exempt = self._maker.is_trusted(client[0])
        key = self._addresses.key_of(client[0], exempt=exempt)
        if reason := _TOO_MANY if self.crowded else self._addresses.open(key):
            if not self.settings.implicit_tls:  # its client expects no word of SMTP yet
                arrival.transport.write(_REFUSALS[reason].encode())
            arrival.transport.close()
            self.turn_away(arrival, client[0], reason, "")
        elif self.settings.implicit_tls and self.settings.tls_context is not None:
            self._arriving.discard(arrival)
            handshake = Handshake(self, arrival.transport, client, self.now + self.settings.limits.handshake_timeout)
            self._arriving.add(handshake)
            self._keys[handshake] = key
            handshake.begin(self.settings.tls_context, octets)
        else:
            self._connect(arrival, client, key, octets)

    def handshake_done(self, handshake: Handshake, octets: bytes) -> None:
        """The client that TLS comes first with may now speak; `octets` of it came meanwhile."""
        self._metrics.counter("smtp_tls_handshakes_total", "completed").inc()
        self._connect(handshake, handshake.client, self._keys.pop(handshake), octets)

    def handshake_failed(self, handshake: Handshake, result: str, why: str) -> None:
        """There will be no connection."""
        self._arriving.discard(handshake)
        self._addresses.close(self._keys.pop(handshake))
        self._metrics.counter("smtp_tls_handshakes_total", result).inc()
        self._refusals.note("TLS handshake", handshake.client[0], self.now, why)
        self._tell_emptied()

    def _connect(self, arrival: Arrival | Handshake, client: tuple[str, int], key: str, octets: bytes) -> None:
        self._arriving.discard(arrival)
        tls = self.settings.implicit_tls
        certificate = client_fingerprint(arrival.transport) if tls else ""
        connection = self._maker.make(*client, self._closed, tls=tls, certificate=certificate)
        self._connections.add(connection)
        self._keys[connection] = key
        self._accepted.inc()
        self._open.inc()
        arrival.transport.set_protocol(connection)
        connection.connection_made(arrival.transport)
        if octets:
            connection.data_received(octets)

    # --- how connections end

    def _closed(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._addresses.close(self._keys.pop(connection))
            self._open.inc(-1)
            if connection.deciding:
                task = asyncio.get_running_loop().create_task(connection.finished())
                self._left_alone.add(task)
                task.add_done_callback(self._finished)
        self._tell_emptied()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._left_alone.discard(task)
        self._tell_emptied()

    def _tell_emptied(self) -> None:
        if self._empty and self._emptied is not None:
            self._emptied.set()

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        for connection in list(self._connections):
            connection.sweep(now)
        for arrival in list(self._arriving):
            arrival.sweep(now)
        self._refusals.sweep(now)
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
