"""A listener: accepts connections on one address, keeps count of them, sweeps the silent ones, stops in order."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.config.networks import parse_client
from mailwake.listener.arrivals import Arrival, ProxiedArrival
from mailwake.listener.connection import Connection
from mailwake.listener.conversation import Conversation
from mailwake.listener.peers import Peers
from mailwake.listener.session import Session
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_protocol import ServerProtocol

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Collection, Sequence

    from mailwake.clock import Clock
    from mailwake.config.networks import IPNetwork, NetworkTable
    from mailwake.config.scopes import ResolvedOptions
    from mailwake.listener.accounts import Accounts
    from mailwake.listener.conversation import OnRejected
    from mailwake.listener.limits import ListenerLimits
    from mailwake.listener.memory_budget import MemoryBudget
    from mailwake.listener.session import MessageReceiver
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import Policies
    from mailwake.smtp.data_body import BareNewlines

SWEEP_SECONDS = 1.0
"""How often silent connections are looked for: one timer a listener, not one a connection."""

_TOO_MANY = Reply(421, "4.3.2", "Too many connections, try again later")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """What a listener is made of; `resolve` gives the tracking options for a peer's address and a pathway, or None."""

    name: str
    hostname: str
    greeting: str
    limits: ListenerLimits
    relay_networks: Sequence[IPNetwork]
    tls_context: ssl.SSLContext | None
    auth_requires_tls: bool
    bare_newlines: BareNewlines
    resolve: Callable[[str, str | None], ResolvedOptions]
    smtp_extensions: Callable[[str], Collection[str]] = lambda address: ()
    """The commands for trusted peers that a client at this address may use."""
    proxies: NetworkTable[IPNetwork] | None = None
    """The load balancers that alone may connect, each connection with a PROXY header; None: clients connect here."""


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
        clock: Clock,
        log: Logger,
        metrics: Metrics,
        on_rejected: OnRejected | None = None,
    ) -> None:
        self._on_rejected = on_rejected
        self._settings = settings
        self._receiver = receiver
        self._accounts = accounts
        self._policies = policies
        self._budget = budget
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._connections: set[Connection] = set()
        self._peers = Peers(settings.resolve, settings.relay_networks)
        self._servers: list[asyncio.Server] = []
        self._arriving: set[Arrival] = set()
        self._left_alone: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._accepted = metrics.counter("smtp_connections_total")
        self._open = metrics.counter("smtp_connections_open")

    async def start(self, listening: socket.socket) -> None:
        """Begin to accept connections on a socket; may be called for several."""
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(self._make_connection, sock=listening))
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
        for arrival in list(self._arriving):
            if isinstance(arrival, ProxiedArrival):
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

    def _make_connection(self) -> asyncio.Protocol:
        arrival = Arrival(self)
        if self._settings.proxies is not None:
            arrival = ProxiedArrival(self, self._settings.limits.command_timeout, self._clock.monotonic())
        self._arriving.add(arrival)
        return arrival

    def is_proxy(self, address: str) -> bool:
        """Whether this is a load balancer that may speak the PROXY protocol here."""
        return self._settings.proxies is not None and parse_client(address) in self._settings.proxies

    @property
    def crowded(self) -> bool:
        """Whether those that wait for a PROXY header would, with the connections there are, be too many."""
        return len(self._connections) + len(self._arriving) > self._settings.limits.connections

    def turn_away(self, arrival: Arrival, address: str, reason: str, detail: str) -> None:
        """Count and log a connection that ended before a client was known."""
        self._arriving.discard(arrival)
        self._metrics.counter("smtp_connections_refused_total", reason).inc()
        self._log.warning("connection refused", peer=address, reason=reason, detail=detail[:200])
        self._tell_emptied()

    def admit(self, arrival: Arrival, address: str, port: int) -> Connection | None:
        """Give what has arrived its connection with the client at this address, or turn it away with 421."""
        self._arriving.discard(arrival)
        if len(self._connections) >= self._settings.limits.connections:
            self._metrics.counter("smtp_connections_refused_total", "too many").inc()
            arrival.transport.write(_TOO_MANY.encode())
            arrival.transport.close()
            self._tell_emptied()
            return None
        connection = self._connection_for(address, port)
        self._connections.add(connection)
        self._accepted.inc()
        self._open.inc()
        arrival.transport.set_protocol(connection)
        connection.connection_made(arrival.transport)
        return connection

    def _connection_for(self, address: str, port: int) -> Connection:
        settings, facts = self._settings, self._peers.facts(address)
        extensions = settings.smtp_extensions(address)
        session = Session(
            listener=settings.name,
            peer_address=address,
            peer_port=port,
            options=facts.options,
            resolve=facts.resolve,
            trusted_network=facts.trusted_network,
            facts=self._peers.facts,
            tracing="XDUMPCONTEXT" in extensions,
        )
        conversation = Conversation(
            session,
            self._receiver,
            self._accounts,
            greeting=settings.greeting,
            auth_failures=settings.limits.auth_failures,
            transactions=settings.limits.transactions,
            budget=self._budget,
            policies=self._policies,
            log=self._log,
            metrics=self._metrics,
            on_rejected=self._on_rejected,
        )
        protocol = ServerProtocol(
            settings.hostname,
            settings.limits.protocol,
            starttls=settings.tls_context is not None,
            auth_mechanisms=("PLAIN", "LOGIN") if self._accounts else (),
            auth_requires_tls=settings.auth_requires_tls,
            chunking=True,
            bare_newlines=settings.bare_newlines,
            trusted_verbs=extensions,
        )
        return Connection(
            protocol,
            conversation,
            settings.limits,
            self._clock,
            self._log,
            settings.tls_context,
            self._budget,
            self._closed,
        )

    def _closed(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
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
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
