"""TLS handshakes with clients: after STARTTLS, or before anything else (implicit TLS, RFC 8314 §3.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    import ssl

    from mailwake.listener.server import Listener

LAST_RESORT_SECONDS = 3600.0
"""The loop's own limit: the listener, which knows the settings and the clock, ends handshakes long before."""


class HandshakeError(MailwakeError):
    """There is no TLS on this connection, and there will be none; the text says why."""


async def start_tls(
    transport: asyncio.Transport,
    protocol: asyncio.Protocol,
    context: ssl.SSLContext,
    encrypted: bytearray | None = None,
) -> asyncio.Transport:
    """The transport of decrypted octets, which `protocol` may get before this returns; raises HandshakeError.

    `encrypted` are octets of the handshake that were read already; it may still grow until this has begun.
    """
    loop = asyncio.get_running_loop()
    starting = loop.create_task(
        loop.start_tls(transport, protocol, context, server_side=True, ssl_handshake_timeout=LAST_RESORT_SECONDS)
    )
    try:
        if encrypted is not None:
            await asyncio.sleep(0)  # by then the loop reads no more, and has scheduled its own first steps
            loop.call_soon(_feed, transport, encrypted)
        started = await starting
    except OSError as error:  # SSLError is one
        raise HandshakeError(getattr(error, "reason", None) or str(error) or type(error).__name__) from None
    except asyncio.CancelledError:
        starting.cancel()
        raise
    if started is None or started.is_closing():
        raise HandshakeError("the connection was closed")
    return started


def _feed(transport: asyncio.Transport, encrypted: bytearray) -> None:
    receiver = cast("asyncio.BufferedProtocol", transport.get_protocol())
    while encrypted and not transport.is_closing():
        buffer = memoryview(receiver.get_buffer(len(encrypted)))
        size = min(len(buffer), len(encrypted))
        buffer[:size] = encrypted[:size]
        del encrypted[:size]
        receiver.buffer_updated(size)


class Handshake(asyncio.Protocol):
    """A client that was let in where TLS comes first: it becomes a connection when the handshake is done."""

    def __init__(self, listener: Listener, transport: asyncio.Transport, client: tuple[str, int]) -> None:
        self.transport = transport
        self.client = client
        self._listener = listener
        self._deadline = listener.now + listener.settings.limits.handshake_timeout
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
            self._listener.handshake_done(self, bytes(self._decrypted))

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
            self._fail("timed out", "it took too long")

    def stop(self) -> None:
        """Close it: nothing was promised to anybody."""
        self._fail("failed", "shutting down")

    def _fail(self, result: str, why: str) -> None:
        if not self._over:
            self._over = True
            self._task.cancel()
            self._inner.abort()
            self._listener.handshake_failed(self, result, why)
