"""What stands between a new transport and its HTTP connection: a PROXY header, a TLS handshake, or both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mailwake.config.networks import parse_client, plain_address
from mailwake.transport.proxy_header import ProxyHeaderError, parse_proxy_header

if TYPE_CHECKING:
    import ssl

    from mailwake.config.networks import IPNetwork, NetworkTable
    from mailwake.tracker.http_server import HttpServer

HEADER_OCTETS = 4096
"""Of a PROXY header of version 2, addresses and TLVs together; the document expects some 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What comes before HTTP at one address."""

    proxies: NetworkTable[IPNetwork] | None = None
    """The load balancers, which must begin with a PROXY header; None where clients connect themselves."""
    tls: ssl.SSLContext | None = None
    """The context of HTTPS; None for plain HTTP."""

    @property
    def is_plain(self) -> bool:
        """Whether HTTP comes first."""
        return self.proxies is None and self.tls is None


class Arrival(asyncio.Protocol):
    """Learns who the client is, then lets it in. Until then it counts, and has its time, as a connection would."""

    is_busy = False

    def __init__(self, server: HttpServer, front: Front) -> None:
        self._server = server
        self._front = front
        self._octets = bytearray()
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client or its load balancer has connected."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are not subclasses of it
        self._client = peer_of(transport)
        self._server.opened(self)
        if self._over:
            return  # there are too many
        if self._front.proxies is None:
            self._let_in(b"")
        elif self._client[0] and parse_client(self._client[0]) not in self._front.proxies:
            # Of a Unix socket the file's mode has decided who may connect.
            self._turn_away("not a listed proxy")

    def data_received(self, data: bytes) -> None:
        """Take octets of the PROXY header; those behind it are the client's.

        "The receiver MUST NOT start processing the connection before it receives a complete and valid header" (§2).
        """
        if self._over:
            return
        self._octets += data
        try:
            header = parse_proxy_header(self._octets, HEADER_OCTETS)
        except ProxyHeaderError:
            self._turn_away("no PROXY header")
            return
        if header is None:
            return
        if header.address:
            self._client = header.address, header.port
        self._let_in(bytes(self._octets[header.octets :]))

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone before anything was known."""
        if not self._over:
            self._turn_away("no PROXY header")

    def close(self) -> None:
        """Nothing was promised to anybody."""
        self._over = True
        self.transport.abort()
        self._server.closed(self)

    abort = close

    def _let_in(self, octets: bytes) -> None:
        self._over = True
        self._server.let_in(self, self.transport, self._client, self._front.tls, octets)

    def _turn_away(self, reason: str) -> None:
        self._server.count_dropped(reason)
        self.close()


def peer_of(transport: asyncio.BaseTransport) -> tuple[str, int]:
    """The address and port of the other end, ("", 0) for that of a Unix socket."""
    name = transport.get_extra_info("peername")
    return (plain_address(name[0]), name[1]) if isinstance(name, tuple) else ("", 0)
