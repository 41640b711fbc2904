"""Opening a connection to the next hop: TCP or a Unix socket, TLS, greeting, EHLO or LHLO, STARTTLS, AUTH."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING

from mailwake.errors import StartupError
from mailwake.relay.connection import Connection, ConnectionOwner
from mailwake.relay.tls import client_context, handshake_trouble
from mailwake.smtp.client_events import Closed, Event, StartTls
from mailwake.smtp.client_handshake import ClientOptions
from mailwake.smtp.client_opening import NO_STARTTLS
from mailwake.smtp.client_protocol import ClientProtocol

if TYPE_CHECKING:
    from typing import Any, Literal

    from mailwake.relay.settings import RelaySettings
    from mailwake.smtp.replies import Reply

_MAX_REPLY_OCTETS = 64 << 10
_QUIT_SECONDS = 5.0

_UNIX_NAME = "localhost"
"""What a hop behind a Unix socket is told that we want (SNI) when nobody checks its certificate."""


class ConnectFailure(Exception):  # noqa: N818 - a failure to connect, and never shown as an error
    """No usable connection; the text says why, and `reply` is the hop's, if one led to this."""

    def __init__(self, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.reply = reply


_HINT = ', and the password would be read on its way; to send it in the clear set tls = "none"'


class TlsFailure(ConnectFailure):
    """The TLS handshake failed."""


async def open_connection(
    settings: RelaySettings, tls_context: ssl.SSLContext | None, owner: ConnectionOwner
) -> Connection:
    """A connection that is ready for transactions; raises ConnectFailure.

    With tls "may" a failed handshake is followed by a new connection in the clear, as mail to a host with a broken TLS
    set-up would otherwise stop; not when a password would be sent over it.
    """
    try:
        return await _open(settings, tls_context, owner)
    except TlsFailure:
        if settings.tls != "may" or settings.implicit_tls or settings.username:
            raise
        return await _open(settings, None, owner)


async def probe(settings: RelaySettings) -> str | None:
    """Whether the next hop is there and takes us: None, or one line that says what is wrong."""
    visitor = _Visitor()
    try:
        connection = await open_connection(settings, client_context(settings), visitor)
    except (ConnectFailure, StartupError) as failure:
        return f"next hop {settings.address}: {failure}"
    connection.quit()
    try:
        async with asyncio.timeout(_QUIT_SECONDS):
            await visitor.left.wait()
    except TimeoutError:
        connection.abort("no reply to QUIT")
    return None


class _Visitor(ConnectionOwner):
    """Sends nothing, and wants to know only when the connection is gone."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    def gone(self, connection: Connection) -> None:
        self.left.set()


async def _open(settings: RelaySettings, tls_context: ssl.SSLContext | None, owner: ConnectionOwner) -> Connection:
    loop = asyncio.get_running_loop()
    protocol = ClientProtocol(_options(settings, tls_context), max_reply_octets=_MAX_REPLY_OCTETS)
    connection = Connection(protocol, settings, loop, owner)
    try:
        await _connect(connection, settings, tls_context)
        await _shake_hands(connection, settings, tls_context)
    except BaseException:
        connection.abort("never became ready")
        raise
    return connection


async def _connect(connection: Connection, settings: RelaySettings, tls_context: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    arguments: dict[str, Any] = {}
    if settings.implicit_tls:
        arguments = {"ssl": tls_context, "server_hostname": settings.certificate_name or _UNIX_NAME}
    try:
        async with asyncio.timeout(settings.connect_timeout):
            if settings.unix_path:
                await loop.create_unix_connection(lambda: connection, settings.unix_path, **arguments)
            else:
                await loop.create_connection(lambda: connection, settings.host, settings.port, **arguments)
    except TimeoutError:
        raise ConnectFailure(f"no connection in {settings.connect_timeout:g} s") from None
    except ssl.SSLError as error:
        raise TlsFailure(f"TLS handshake failed: {handshake_trouble(error)}") from None
    except OSError as error:
        raise ConnectFailure(f"cannot connect: {_explain(error)}") from None


def _explain(error: OSError) -> str:
    """What the system says, without the number and the address that asyncio puts around it."""
    if error.errno is None or error.errno <= 0:  # several addresses failed, or the name has none
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _options(settings: RelaySettings, tls_context: ssl.SSLContext | None) -> ClientOptions:
    in_clear = settings.tls == "may" and (settings.is_local or not settings.username)
    starttls: Literal["never", "offered", "required"] = "offered" if in_clear else "required"
    return ClientOptions(
        hello_name=settings.helo_name,
        lmtp=settings.protocol == "lmtp",
        tls=settings.implicit_tls,
        starttls=starttls if tls_context is not None else "never",
        username=settings.username,
        password=settings.password,
        chunking=settings.chunking,
    )


async def _shake_hands(connection: Connection, settings: RelaySettings, tls_context: ssl.SSLContext | None) -> None:
    try:
        event = await _next_event(connection, settings.greeting_timeout)
    except ConnectFailure as failure:
        if connection.protocol.awaited == "greeting" and not settings.implicit_tls:
            raise ConnectFailure(f"{failure}; where TLS comes first, as on port 465, set implicit_tls") from None
        raise
    if isinstance(event, StartTls):
        assert tls_context is not None
        await _start_tls(connection, settings, tls_context)
        event = await _next_event(connection, settings.command_timeout)
    if isinstance(event, Closed):
        hint = _HINT if event.reason == NO_STARTTLS and settings.tls == "may" else ""
        raise ConnectFailure(event.reason + hint, event.reply)


async def _next_event(connection: Connection, seconds: float) -> Event:
    try:
        async with asyncio.timeout(seconds):
            return await connection.next_event()
    except TimeoutError:
        raise ConnectFailure(f"no reply in {seconds:g} s, awaited: {connection.protocol.awaited}") from None


async def _start_tls(connection: Connection, settings: RelaySettings, context: ssl.SSLContext) -> None:
    clear = connection.transport
    assert clear is not None
    loop = asyncio.get_running_loop()
    try:
        transport = await loop.start_tls(
            clear,
            connection,
            context,
            server_hostname=settings.certificate_name or _UNIX_NAME,
            ssl_handshake_timeout=settings.command_timeout,
        )
    except (OSError, TimeoutError) as error:  # ssl.SSLError and ConnectionError are OSErrors
        raise TlsFailure(f"TLS handshake failed: {handshake_trouble(error)}") from None
    if transport is None or connection.closed:
        raise TlsFailure("TLS handshake failed: the next hop spoke in the clear or closed the connection")
    connection.tls_established(transport)
