"""One connection to the next hop: the asyncio glue around `smtp.client_protocol`."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, cast

from mailwake.smtp.client_events import Closed, Event, Finished, Lost
from mailwake.smtp.client_protocol import ClientProtocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.relay.settings import RelaySettings
    from mailwake.smtp.client_transaction import Transaction

_WRITE_OCTETS = 256 << 10
"""Content goes to the transport in blocks of this size, and waits while the transport has more than that in hand."""

_LEFT_OVER_OCTETS = 64 << 10
"""A transport that has said "enough" holds at least so much, until it says "go on"."""

_QUIT_SECONDS = 5.0
"""Nobody needs the reply to QUIT: it is not waited for as other replies are."""


class ConnectionOwner:
    """Who is told what becomes of a connection; each method does nothing unless it is overridden."""

    def finished(self, connection: Connection, event: Finished) -> None:
        """A transaction has ended, and the connection lives."""

    def lost(self, connection: Connection, event: Lost, *, may_be_taken: bool) -> None:
        """A transaction was lost with the connection; whether all of it had left this process."""

    def closed(self, connection: Connection) -> None:
        """The connection takes no more transactions, and has none in hand; told once."""

    def gone(self, connection: Connection) -> None:
        """The transport is gone; told once, if there was one."""


class Connection(asyncio.Protocol):
    """Carries transactions and tells its owner what becomes of them; counts those begun and those finished.

    It keeps a deadline but no timer: the owner calls `expire` when the deadline has passed.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        settings: RelaySettings,
        loop: asyncio.AbstractEventLoop,
        owner: ConnectionOwner,
    ) -> None:
        self.protocol = protocol
        self.deadline = math.inf
        self.opened_at = loop.time()
        self.idle_since = self.opened_at
        self.transactions = 0
        self.finished = 0
        self.expired = False
        self.gone = False
        self.transport: asyncio.Transport | None = None
        self._settings = settings
        self._loop = loop
        self._owner = owner
        self._event: asyncio.Future[Event] = loop.create_future()
        self._in_hand: dict[Transaction, int] = {}
        self._queued = 0
        self._outbox: deque[bytes | memoryview] = deque()
        self._paused = False

    def __repr__(self) -> str:
        return f"<Connection transactions={self.transactions} {self.protocol!r}>"

    @property
    def closed(self) -> bool:
        """Whether it can take no more transactions."""
        return self.protocol.closed

    @property
    def lacks_tls(self) -> bool:
        """Whether it is in the clear although TLS is wanted and offered: STARTTLS or the handshake failed."""
        return self._settings.tls != "none" and self.protocol.capabilities.starttls and not self.protocol.tls

    @property
    def load(self) -> int:
        """How many transactions are in hand."""
        return len(self._in_hand)

    @property
    def congested(self) -> bool:
        """Whether the next hop does not take content as fast as it comes: some of it is still in this process."""
        return self._paused or bool(self._outbox)

    async def next_event(self) -> Event:
        """The next event of the handshake."""
        event = await self._event
        self.deadline = math.inf
        self._event = self._loop.create_future()
        return event

    def send(self, transaction: Transaction) -> None:
        """Start a transaction; its end is told to the owner, perhaps before this returns."""
        self.transactions += 1
        self._in_hand[transaction] = 0
        self.protocol.send(transaction)
        self._pump()
        if transaction.content_sent and transaction in self._in_hand:
            self._in_hand[transaction] = self._queued

    def tls_established(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done, and `transport` is the encrypted one."""
        self.connection_made(transport)
        self.protocol.tls_established()
        self._pump()

    def quit(self) -> None:
        """Say goodbye; the connection closes with the reply."""
        if not self.closed:
            self.protocol.quit()
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
        self.transport.set_write_buffer_limits(high=_WRITE_OCTETS, low=_LEFT_OVER_OCTETS)

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
        self._owner.gone(self)

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
        protocol = self.protocol
        output = protocol.data_to_send()
        if output and not protocol.closed:
            self._write(output)
        while (event := protocol.next_event()) is not None:
            if isinstance(event, Finished):
                self._finish(event)
            elif isinstance(event, Lost):
                self._lose(event)
            else:
                if isinstance(event, Closed):
                    self._close(event)
                if not self._event.done():
                    self._event.set_result(event)

    def _finish(self, event: Finished) -> None:
        del self._in_hand[event.transaction]
        self.finished += 1
        self.deadline = self._loop.time() + self._settings.content_timeout if self._in_hand else math.inf
        self._owner.finished(self, event)

    def _lose(self, event: Lost) -> None:
        transaction = event.transaction
        left = self._queued - sum(map(len, self._outbox)) - (_LEFT_OVER_OCTETS if self._paused else 0)
        end = self._in_hand.pop(transaction) or self._queued
        self._owner.lost(self, event, may_be_taken=transaction.content_sent and end <= left)

    def _write(self, output: Sequence[bytes]) -> None:
        if len(self._in_hand) < 2:  # behind others, it is their replies that are waited for
            settings = self._settings
            content_sent = any(transaction.content_sent for transaction in self._in_hand)
            self.deadline = self._loop.time() + (settings.content_timeout if content_sent else settings.command_timeout)
        assert self.transport is not None
        octets = sum(map(len, output))
        self._queued += octets
        if octets <= _WRITE_OCTETS and not self._outbox:
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
        if self.transport is not None:
            if event.reason == "QUIT":
                self.transport.close()
            else:
                self.transport.abort()
        self._owner.closed(self)
