"""Opening a connection to the next hop: TCP, greeting, EHLO, STARTTLS, AUTH."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from mailwake.errors import StartupError
from mailwake.relay.connection import Connection
from mailwake.relay.tls import client_context
from mailwake.smtp.client_events import Closed, Event, StartTls
from mailwake.smtp.client_handshake import ClientOptions
from mailwake.smtp.client_protocol import ClientProtocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from mailwake.relay.settings import RelaySettings

_MAX_REPLY_OCTETS = 64 << 10
_QUIT_SECONDS = 5.0


class ConnectFailure(Exception):  # noqa: N818 - a failure to connect, and never shown as an error
    """No usable connection; the text says why, for the log."""


class TlsFailure(ConnectFailure):
    """The TLS handshake failed."""


async def open_connection(
    settings: RelaySettings,
    tls_context: ssl.SSLContext | None,
    on_closed: Callable[[Connection], None],
) -> Connection:
    """A connection that is ready for transactions; raises ConnectFailure.

    With tls "may" a failed handshake is followed by a new connection in the clear, as mail to a host with a broken TLS
    set-up would otherwise stop; not when a password would be sent over it.
    """
    try:
        return await _open(settings, tls_context, on_closed)
    except TlsFailure:
        if settings.tls != "may" or settings.username:
            raise
        return await _open(settings, None, on_closed)


async def probe(settings: RelaySettings) -> str | None:
    """Whether the next hop is there and takes us: None, or one line that says what is wrong."""
    gone = asyncio.Event()
    try:
        connection = await open_connection(settings, client_context(settings), lambda connection: gone.set())
    except (ConnectFailure, StartupError) as failure:
        return f"next hop {settings.address}: {failure}"
    connection.quit()
    try:
        async with asyncio.timeout(_QUIT_SECONDS):
            await gone.wait()
    except TimeoutError:
        connection.abort("no reply to QUIT")
    return None


async def _open(
    settings: RelaySettings,
    tls_context: ssl.SSLContext | None,
    on_closed: Callable[[Connection], None],
) -> Connection:
    loop = asyncio.get_running_loop()
    protocol = ClientProtocol(_options(settings, tls_context), max_reply_octets=_MAX_REPLY_OCTETS)
    connection = Connection(protocol, settings, loop, on_closed)
    try:
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await loop.create_connection(lambda: connection, settings.host, settings.port)
        except TimeoutError:
            raise ConnectFailure(f"no connection in {settings.connect_timeout:g} s") from None
        except OSError as error:
            raise ConnectFailure(f"cannot connect: {error}") from None
        await _shake_hands(connection, settings, tls_context)
    except BaseException:
        connection.abort("never became ready")
        raise
    return connection


def _options(settings: RelaySettings, tls_context: ssl.SSLContext | None) -> ClientOptions:
    starttls: Literal["never", "offered", "required"] = "offered" if settings.tls == "may" else "required"
    return ClientOptions(
        hello_name=settings.helo_name,
        starttls=starttls if tls_context is not None else "never",
        username=settings.username,
        password=settings.password,
        chunking=settings.chunking,
    )


async def _shake_hands(connection: Connection, settings: RelaySettings, tls_context: ssl.SSLContext | None) -> None:
    event = await _next_event(connection, settings.greeting_timeout)
    if isinstance(event, StartTls):
        assert tls_context is not None
        await _start_tls(connection, settings, tls_context)
        event = await _next_event(connection, settings.command_timeout)
    if isinstance(event, Closed):
        raise ConnectFailure(event.reason)


async def _next_event(connection: Connection, seconds: float) -> Event:
    try:
        async with asyncio.timeout(seconds):
            return await connection.next_event()
    except TimeoutError:
        raise ConnectFailure(f"no reply in {seconds:g} s ({connection.protocol!r})") from None


async def _start_tls(connection: Connection, settings: RelaySettings, context: ssl.SSLContext) -> None:
    clear = connection.transport
    assert clear is not None
    loop = asyncio.get_running_loop()
    try:
        transport = await loop.start_tls(
            clear,
            connection,
            context,
            server_hostname=settings.host,
            ssl_handshake_timeout=settings.command_timeout,
        )
    except (OSError, TimeoutError) as error:  # ssl.SSLError and ConnectionError are OSErrors
        raise TlsFailure(f"TLS handshake failed: {error or type(error).__name__}") from None
    if transport is None or connection.closed:
        raise TlsFailure("TLS handshake failed: the next hop spoke in the clear or closed the connection")
    connection.tls_established(transport)
