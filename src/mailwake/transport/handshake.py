"""TLS handshakes with clients that begin with one: implicit TLS (RFC 8314 §3.3), and HTTPS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from mailwake.transport.start_tls import HandshakeError, start_tls

if TYPE_CHECKING:
    import ssl


class HandshakeOwner(Protocol):
    """The server that a client has connected to."""

    def handshake_done(self, handshake: Handshake, octets: bytes) -> None:
        """The client may now speak; `octets` of it came meanwhile."""
        ...

    def handshake_failed(self, handshake: Handshake, result: str, why: str) -> None:
        """There will be no connection; `result` is failed or timed out."""
        ...


class Handshake(asyncio.Protocol):
    """A client that was let in where TLS comes first: it becomes a connection when the handshake is done."""

    is_busy = False
    """Whether anything was promised to the client."""

    def __init__(
        self, owner: HandshakeOwner, transport: asyncio.Transport, client: tuple[str, int], deadline: float
    ) -> None:
        """`deadline` is in the time that `sweep` is given."""
        self.transport = transport
        self.client = client
        self._owner = owner
        self._deadline = deadline
        self._encrypted = bytearray()
        self._decrypted = bytearray()
        self._over = False

    def begin(self, context: ssl.SSLContext, encrypted: bytes) -> None:
        """Shake hands; `encrypted` was read from the client already."""
        self._encrypted += encrypted
        self._inner = self.transport
        self.transport.set_protocol(self)
        self.transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(context))

    async def _shake_hands(self, context: ssl.SSLContext) -> None:
        try:
            started = await start_tls(self.transport, self, context, self._encrypted)
        except HandshakeError as error:
            self._fail("failed", str(error))
            return
        if not self._over:
            self._over = True
            self.transport = started
            self._owner.handshake_done(self, bytes(self._decrypted))

    def data_received(self, data: bytes) -> None:
        """Keep octets: the client's handshake before ours has begun, what it says afterwards."""
        # uvloop reads once before anything can keep it from doing so.
        (self._encrypted if self._inner.get_protocol() is self else self._decrypted).extend(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone; once the handshake has begun, its end says why."""
        if self._inner.get_protocol() is self:
            self._fail("failed", "the connection was lost")

    def sweep(self, now: float) -> None:
        """End what takes too long."""
        if now > self._deadline:
            self.abort()

    def abort(self) -> None:
        """End it: it has taken too long."""
        self._fail("timed out", "it took too long")

    def stop(self) -> None:
        """Close it: nothing was promised to anybody."""
        self._fail("failed", "shutting down")

    close = stop

    def _fail(self, result: str, why: str) -> None:
        if not self._over:
            self._over = True
            self._task.cancel()
            self._inner.abort()
            self._owner.handshake_failed(self, result, why)
