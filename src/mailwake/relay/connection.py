"""One connection to the next hop: the asyncio glue around `smtp.client_protocol`."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, cast

from mailwake.smtp.client_events import Closed, Event, Lost
from mailwake.smtp.client_protocol import ClientProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.relay.settings import RelaySettings
    from mailwake.smtp.client_transaction import Transaction

_WRITE_OCTETS = 256 << 10
"""Content goes to the transport in blocks of this size, and waits while the transport has more than that in hand."""

_QUIT_SECONDS = 5.0
"""Nobody needs the reply to QUIT: it is not waited for as other replies are."""


class Connection(asyncio.Protocol):
    """Carries transactions one after another; `on_closed` is told once when the connection is gone.

    It keeps a deadline but no timer: whoever owns it calls `expire` when the deadline has passed.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        settings: RelaySettings,
        loop: asyncio.AbstractEventLoop,
        on_closed: Callable[[Connection], None],
    ) -> None:
        self.protocol = protocol
        self.deadline = math.inf
        self.idle_since = 0.0
        self.transactions = 0
        self.expired = False
        self.gone = False
        self.transport: asyncio.Transport | None = None
        self._settings = settings
        self._loop = loop
        self._on_closed = on_closed
        self._event: asyncio.Future[Event] = loop.create_future()
        self._transaction: Transaction | None = None
        self._outbox: deque[bytes | memoryview] = deque()
        self._paused = False

    def __repr__(self) -> str:
        return f"<Connection transactions={self.transactions} {self.protocol!r}>"

    @property
    def closed(self) -> bool:
        """Whether it can take no more transactions."""
        return self.protocol.closed

    @property
    def unsent(self) -> bool:
        """Whether part of the content certainly never left this process."""
        return self._paused or bool(self._outbox)

    async def next_event(self) -> Event:
        """The next event of the handshake."""
        event = await self._event
        self.deadline = math.inf
        self._event = self._loop.create_future()
        return event

    async def send(self, transaction: Transaction) -> Event:
        """Carry one transaction to its end: `Finished`, or `Lost` with the connection."""
        if self.protocol.closed:
            return Lost(transaction, "mail", "the connection was closed while unused")
        self.transactions += 1
        self._transaction = transaction
        self.protocol.send(transaction)
        self._pump()
        event = await self._event
        self._event = self._loop.create_future()
        self.deadline = math.inf
        return event

    def tls_established(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done, and `transport` is the encrypted one."""
        self.connection_made(transport)
        self.protocol.tls_established()
        self._pump()

    def quit(self) -> None:
        """Say goodbye; the connection closes with the reply."""
        if not self.closed:
            self.protocol.quit()
            self._transaction = None
            self._pump()
            self.deadline = self._loop.time() + _QUIT_SECONDS

    def expire(self) -> None:
        """The deadline has passed: the connection is given up."""
        self.expired = True
        self.abort("no reply in time")

    def abort(self, reason: str) -> None:
        """Drop the connection now; what is in hand ends as `Lost`."""
        self.protocol.connection_lost(reason)
        self._pump()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_WRITE_OCTETS)

    def data_received(self, data: bytes) -> None:
        """Replies have come."""
        self.protocol.receive_data(data)
        self._pump()

    def eof_received(self) -> bool:
        """The next hop has closed its side: it will not answer any more."""
        self.abort("the next hop closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self.abort(str(exc) if exc else "the connection was closed")
        self.gone = True
        self._on_closed(self)

    def pause_writing(self) -> None:
        """The transport has enough in hand."""
        self._paused = True

    def resume_writing(self) -> None:
        """The next hop has taken some of it: RFC 5321 §4.5.3.2.5 counts from each block."""
        self._paused = False
        if not self.closed:
            self.deadline = self._loop.time() + self._settings.content_timeout
            self._flush()

    # What the protocol wants

    def _pump(self) -> None:
        output = self.protocol.data_to_send()
        if output and not self.closed:
            self._write(output)
        while (event := self.protocol.next_event()) is not None:
            if isinstance(event, Closed):
                self._close(event)
            if not self._event.done():
                self._event.set_result(event)

    def _write(self, output: Sequence[bytes]) -> None:
        content_sent = self._transaction is not None and self._transaction.content_sent
        settings = self._settings
        self.deadline = self._loop.time() + (settings.content_timeout if content_sent else settings.command_timeout)
        assert self.transport is not None
        small = self._transaction is None or self._transaction.size <= _WRITE_OCTETS
        if small and not self._outbox:
            self.transport.write(b"".join(output))
        else:
            self._outbox.extend(output)
            self._flush()

    def _flush(self) -> None:
        assert self.transport is not None
        while self._outbox and not self._paused:
            block = self._outbox.popleft()
            if len(block) > _WRITE_OCTETS:
                view = memoryview(block)
                self._outbox.appendleft(view[_WRITE_OCTETS:])
                block = view[:_WRITE_OCTETS]
            self.transport.write(block)

    def _close(self, event: Closed) -> None:
        if self.transport is None:
            return
        if event.reason == "QUIT":
            self.transport.close()
        else:
            self.transport.abort()
