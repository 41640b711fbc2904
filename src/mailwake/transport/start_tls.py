"""TLS begun on a connection that is open already."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    import ssl

LAST_RESORT_SECONDS = 3600.0
"""The loop's own limit: the server, which knows the settings and the clock, ends handshakes long before."""


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
