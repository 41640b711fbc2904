"""Events into NATS JetStream: stored by a stream before they count as handed on, each with its id against doubles.

Reconnecting is left to the runner: after a failure the connection is closed with all that was on its way, and the same
events begin again over another. What the stream had stored it knows by `Nats-Msg-Id` (within its duplicate window).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import TYPE_CHECKING, Any

from mailwake.errors import StartupError
from mailwake.sinks.contract import DestinationError
from mailwake.sinks.names import name_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from mailwake.config.sink_settings import Sink
    from mailwake.sinks.contract import OutgoingEvent

CONNECT_SECONDS = 10
CLOSE_SECONDS = 0.5

_NO_RESPONDERS = "503"


class JetStream:
    """A `Destination`: when `write` returns, the stream has stored the events."""

    def __init__(self, settings: Sink) -> None:
        self._settings = settings
        self._subject: str = settings.value("subject")
        self._stream: str | None = settings.stream
        self._window: int = settings.value("max_in_flight")
        self._timeout: float = settings.value("timeout")
        self._client: Client | None = None
        self._inbox = ""
        self._published = 0
        self._in_flight: dict[int, str] = {}
        self._failure = ""
        self._progress = asyncio.Event()

    async def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Return when each of them is acknowledged by the stream."""
        self._in_flight.clear()
        self._failure = ""
        try:
            client = self._client or await self._connect()
            for each in events:
                await self._publish(client, each)
                await self._until_in_flight(self._window - 1)
            await self._until_in_flight(0)
        except BaseException as error:
            await self.close()
            text = _text(error)
            if text is None:
                raise
            raise DestinationError(f"NATS: {self._failure or text}") from None

    async def tend(self) -> None:
        """Nothing goes by time; the library itself asks whether the server is alive."""

    async def close(self) -> None:
        """Drop the connection with all that is on its way."""
        client, self._client = self._client, None
        if client is not None:
            await _drop(client)

    async def _publish(self, client: Client, each: OutgoingEvent) -> None:
        event = each.event
        self._published += 1
        self._in_flight[self._published] = str(event.event_id)
        headers = {"Nats-Msg-Id": str(event.event_id)}
        if self._stream is not None:
            headers["Nats-Expected-Stream"] = self._stream
        reply = f"{self._inbox}.{self._published}"
        await client.publish(name_for(self._subject, event), each.content, reply, headers)

    async def _until_in_flight(self, most: int) -> None:
        """Wait until so few are on their way; DestinationError when one is refused, or none acknowledged for long."""
        while True:
            if self._failure:
                raise DestinationError(self._failure)
            if len(self._in_flight) <= most:
                return
            self._progress.clear()
            try:
                await asyncio.wait_for(self._progress.wait(), self._timeout)
            except TimeoutError:
                raise DestinationError(f"the server acknowledges nothing for {self._timeout:g} seconds") from None

    async def _note_reply(self, message: Msg) -> None:
        number = int(message.subject.rpartition(".")[2])
        if number not in self._in_flight:
            return  # of an attempt that was given up
        refusal = _refusal(message)
        if refusal:
            self._fail(f"event {self._in_flight[number]} is refused: {refusal}")
        else:
            del self._in_flight[number]
            self._progress.set()

    def _fail(self, text: str) -> None:
        self._failure = self._failure or text
        self._progress.set()

    async def _connect(self) -> Client:
        client = _client_class()()
        trouble: list[str] = []

        async def note_error(error: Exception) -> None:
            trouble.append(_text(error) or repr(error))

        async def note_loss() -> None:
            if client is self._client:
                self._fail(f"the connection was lost{': ' + trouble[-1] if trouble else ''}")

        options = connection_options(self._settings)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect(
                    **options,
                    name="mailwake",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=CONNECT_SECONDS,
                    error_cb=note_error,
                    disconnected_cb=note_loss,
                    closed_cb=note_loss,
                )
                inbox = client.new_inbox()
                await client.subscribe(f"{inbox}.*", cb=self._note_reply)
                await client.flush(CONNECT_SECONDS)  # a server that dislikes our certificate says so only now
        except Exception as error:
            await _drop(client)
            servers = ", ".join(self._settings.servers or ())
            raise DestinationError(
                f"cannot connect to {servers}: {trouble[-1] if trouble else _text(error) or repr(error)}"
            ) from None
        self._client, self._inbox = client, inbox
        return client


async def _drop(client: Client) -> None:
    """Close it; a handshake that failed half-way can keep the library waiting for nothing."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(), CLOSE_SECONDS)


def connection_options(settings: Sink) -> dict[str, Any]:
    """What the settings say of servers, users and TLS; StartupError for files that cannot be used."""
    options: dict[str, Any] = {"servers": list(settings.servers or ())}
    if settings.credentials_file is not None:
        _first_line(settings.credentials_file)
        options["user_credentials"] = str(settings.credentials_file)
    if settings.username is not None:
        options["user"] = settings.username
        options["password"] = settings.password or (
            _first_line(settings.password_file) if settings.password_file is not None else ""
        )
    options["tls"] = _tls_context(settings)
    return options


def _tls_context(settings: Sink) -> ssl.SSLContext:
    """Used when the server asks for TLS."""
    context = ssl.create_default_context()
    file: Path | None = None
    try:
        if (file := settings.tls_ca_file) is not None:
            context = ssl.create_default_context(cafile=file)
        if (file := settings.tls_certificate) is not None:
            context.load_cert_chain(file, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        raise StartupError(
            f"{file}: cannot be used: {reason}; give a PEM file, and the key that belongs to it"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    if not lines or not lines[0]:
        raise StartupError(f"{file}: its first line is empty")
    return lines[0]


def _client_class() -> type[Client]:
    from nats.aio.client import Client
    from nats.errors import Error

    class InsistingClient(Client):
        """Says nothing of itself in the clear to a server whose URL is tls://, whatever that server says."""

        def _connect_command(self) -> bytes:
            insists = self._current_server is not None and self._current_server.uri.scheme == "tls"
            if insists and not self._server_info.get("tls_required"):
                raise Error("the server offers no TLS, and its URL says tls://")
            return super()._connect_command()

    return InsistingClient


def _refusal(message: Msg) -> str:
    """Why the stream did not store the event; "" when it did."""
    if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
        return "no stream takes its subject; make one, or mend `subject`"
    try:
        answer = json.loads(message.data)
    except ValueError:
        return "the answer makes no sense; is it a stream that answers?"
    if "error" in answer:
        return str(answer["error"].get("description", answer["error"]))
    return "" if "stream" in answer else "the answer makes no sense; is it a stream that answers?"


def _text(error: BaseException) -> str | None:
    """An error of the network or the library in words; None for a defect or a cancellation."""
    from nats.errors import Error

    if isinstance(error, DestinationError | StartupError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "the server does not answer in time"
    if isinstance(error, Error):
        return str(error).removeprefix("nats: ").strip("'") or type(error).__name__
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return None
