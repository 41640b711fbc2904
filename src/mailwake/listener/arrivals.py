"""What stands between a new transport and its connection: who the client is has to be known first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from mailwake.config.networks import plain_address
from mailwake.transport.proxy_header import ProxyHeaderError, parse_proxy_header

if TYPE_CHECKING:
    from mailwake.listener.server import Listener

HEADER_OCTETS = 4096
"""Of a PROXY header of version 2, addresses and TLVs together; the document expects some 500."""


class Arrival(asyncio.Protocol):
    """Where clients connect themselves: the other end is the client."""

    transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._peer = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is, which decides everything else."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are not subclasses of it
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):  # of a Unix socket there is none, or the path of the other end
            self._peer = plain_address(name[0]), name[1]
        self.identify()

    def identify(self) -> None:
        """Give the client its connection."""
        self._listener.admit(self, self._peer)

    def sweep(self, now: float) -> None:
        """Nothing is waited for."""

    def stop(self) -> None:
        """Nothing is waited for."""


class ProxiedArrival(Arrival):
    """Where load balancers connect: nothing is said until a PROXY header has named the client.

    "The receiver MUST NOT start processing the connection before it receives a complete and valid header" (§2).
    """

    def __init__(self, listener: Listener, patience: float) -> None:
        super().__init__(listener)
        self._octets = bytearray()
        self._deadline = listener.now + patience
        self._over = False

    def identify(self) -> None:
        """Turn away whoever is no listed load balancer."""
        if not self._listener.is_proxy(self._peer[0]):
            self._turn_away("not a listed proxy")
        elif self._listener.crowded:
            self._turn_away("too many")

    def data_received(self, data: bytes) -> None:
        """Take octets of the header; those behind it are the client's."""
        if self._over:
            return
        self._octets += data
        try:
            header = parse_proxy_header(self._octets, HEADER_OCTETS)
        except ProxyHeaderError as error:
            self._turn_away("no PROXY header", str(error))
            return
        if header is None:
            return
        self._over = True
        client = (header.address, header.port) if header.address else self._peer
        self._listener.admit(self, client, bytes(self._octets[header.octets :]))

    def eof_received(self) -> bool:
        """A header that is not whole by now is none."""
        self._turn_away("no PROXY header", "the connection ended before it")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The load balancer has gone."""
        self._turn_away("no PROXY header", "the connection was lost before it")

    def sweep(self, now: float) -> None:
        """Close what has been waited for too long."""
        if now > self._deadline:
            self._turn_away("no PROXY header", "none came in time")

    def stop(self) -> None:
        """Close it: nothing was promised to anybody."""
        self._turn_away("shutting down")

    def _turn_away(self, reason: str, detail: str = "") -> None:
        if not self._over:
            self._over = True
            self.transport.close()
            self._listener.turn_away(self, self._peer[0], reason, detail)
