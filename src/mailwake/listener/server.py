"""A listener: accepts connections on one address, keeps count of them, sweeps the silent ones, stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mailwake.listener.connection import Connection
from mailwake.listener.conversation import Conversation
from mailwake.listener.session import Session
from mailwake.policy.phases import Phase
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_protocol import ServerProtocol

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Sequence

    from mailwake.clock import Clock
    from mailwake.config.scopes import ResolvedOptions
    from mailwake.listener.accounts import Accounts
    from mailwake.listener.limits import ListenerLimits
    from mailwake.listener.memory_budget import MemoryBudget
    from mailwake.listener.session import MessageReceiver
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import Policies
    from mailwake.smtp.data_body import BareNewlines

SWEEP_SECONDS = 1.0
"""How often silent connections are looked for: one timer a listener, not one a connection."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TOO_MANY = Reply(421, "4.3.2", "Too many connections, try again later")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """What a listener is made of; `resolve` gives the tracking options for a peer's address and a pathway, or None."""

    name: str
    hostname: str
    greeting: str
    limits: ListenerLimits
    relay_networks: Sequence[Network]
    tls_context: ssl.SSLContext | None
    auth_requires_tls: bool
    bare_newlines: BareNewlines
    resolve: Callable[[str, str | None], ResolvedOptions]


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
    ) -> None:
        self._settings = settings
        self._receiver = receiver
        self._accounts = accounts
        self._policies = policies
        self._budget = budget
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._connections: set[Connection] = set()
        self._trusted: dict[str, bool] = {}
        self._servers: list[asyncio.Server] = []
        self._arriving = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._accepted = metrics.counter("smtp_connections_total")
        self._open = metrics.counter("smtp_connections")

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
        if self._connections or self._arriving:
            self._emptied = self._emptied or asyncio.Event()
            await self._emptied.wait()

    async def stop(self, grace: float) -> None:
        """Accept no more, let messages in hand finish for at most `grace` seconds, then drop what is left."""
        self._close_servers()
        for connection in list(self._connections):
            connection.stop()
        if self._connections:
            self._emptied = self._emptied or asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), grace)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*(connection.finished() for connection in self._connections))
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _close_servers(self) -> None:
        for server in self._servers:
            server.close()

    def _make_connection(self) -> asyncio.Protocol:
        self._arriving += 1
        return _Arrival(self)

    def admit(self, transport: asyncio.Transport) -> None:
        """Give a new transport its connection, or turn it away."""
        self._arriving -= 1
        peer = transport.get_extra_info("peername") or ("", 0)
        if len(self._connections) >= self._settings.limits.connections:
            self._metrics.counter("smtp_connections_refused_total", "too many").inc()
            transport.write(_TOO_MANY.encode())
            transport.close()
            return
        connection = self._connection_for(_plain_address(peer[0]), peer[1])
        self._connections.add(connection)
        self._accepted.inc()
        self._open.inc()
        transport.set_protocol(connection)
        connection.connection_made(transport)

    def _connection_for(self, address: str, port: int) -> Connection:
        settings = self._settings
        session = Session(
            listener=settings.name,
            peer_address=address,
            peer_port=port,
            options=settings.resolve(address, None),
            resolve=lambda pathway: settings.resolve(address, pathway),
            trusted_network=self._is_trusted(address),
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
        )
        protocol = ServerProtocol(
            settings.hostname,
            settings.limits.protocol,
            starttls=settings.tls_context is not None,
            auth_mechanisms=("PLAIN", "LOGIN") if self._accounts else (),
            auth_requires_tls=settings.auth_requires_tls,
            chunking=True,
            asks_at_data=self._policies.has(Phase.DATA),
            bare_newlines=settings.bare_newlines,
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
        if not self._connections and not self._arriving and self._emptied is not None:
            self._emptied.set()

    def _is_trusted(self, address: str) -> bool:
        known = self._trusted.get(address)
        if known is None:
            try:
                parsed = ipaddress.ip_address(address)
            except ValueError:
                return False
            known = any(parsed in network for network in self._settings.relay_networks)
            if len(self._trusted) > 10_000:
                self._trusted.clear()
            self._trusted[address] = known
        return known

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        for connection in list(self._connections):
            connection.sweep(now)
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)


class _Arrival(asyncio.Protocol):
    """Stands in until the peer's address is known, which decides everything else."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._listener.admit(cast("asyncio.Transport", transport))  # uvloop's transports are not subclasses of it


def _plain_address(address: str) -> str:
    """An IPv4 client on an IPv6 socket is still an IPv4 client; a zone id is no part of an address."""
    address = address.partition("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address
