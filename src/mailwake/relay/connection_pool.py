"""Which connection carries which transaction: lines of those that wait, and connections by what they have in hand."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mailwake.relay.connection import Connection, ConnectionOwner
from mailwake.relay.open_connections import OpenConnections
from mailwake.relay.opening import ConnectFailure, open_connection
from mailwake.relay.tls import client_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.relay.delivery import Outcome
    from mailwake.relay.settings import RelaySettings
    from mailwake.smtp.client_events import Finished, Lost
    from mailwake.smtp.client_handshake import Capabilities
    from mailwake.smtp.client_transaction import Transaction

_CEILING_SECONDS = 30.0
"""How long a next hop that refused one more connection, while others were open, is not asked for more."""

_SWEEPS_PER_TIMEOUT = 4


@dataclass(slots=True, eq=False)
class Attempt:
    """One copy on its way; `ended` is called once, unless the attempt is abandoned."""

    transaction: Transaction
    ended: asyncio.Future[Outcome | Capabilities]
    """The outcome; or what the next hop offers, when it does not take content of this kind and nothing was sent."""

    as_it_is: bool = False
    """Whether it is sent, or refused, whatever content the next hop takes."""

    give_up_at: float = 0.0
    connection: Connection | None = None
    before: Outcome | None = None
    """What the outcome would have been, had it not been tried again over a new connection."""

    newer_than: int = 0
    """Only a connection with a higher number will do: the older ones may be dead as well."""

    @property
    def over(self) -> bool:
        """Whether it has ended, or nobody waits for its end any more."""
        return self.ended.done()

    def end(self, result: Outcome | Capabilities) -> None:
        """Tell the result to whoever waits for it."""
        if not self.ended.done():
            self.ended.set_result(result)


class AttemptJudge(Protocol):
    """Decides what the end of a transaction means."""

    def finished(self, attempt: Attempt, connection: Connection, event: Finished) -> Outcome | None:
        """The outcome; None to try again over a new connection."""
        ...

    def lost(self, attempt: Attempt, connection: Connection, event: Lost, *, may_be_taken: bool) -> Outcome | None:
        """The outcome; None to try again over a new connection."""
        ...

    def unreachable(self, attempt: Attempt, failure: ConnectFailure) -> Outcome:
        """The outcome when no connection can be had."""
        ...

    def fits(self, attempt: Attempt, offered: Capabilities) -> bool:
        """Whether the content can go to a next hop that offers this as it is."""
        ...

    def reachable(self) -> None:
        """A connection has been opened."""
        ...


class ConnectionPool(ConnectionOwner):
    """Hands attempts to connections that are kept open and reused, the newest first.

    An attempt gets an idle connection; else a new one is opened for it while there are fewer than `max_connections`;
    else it goes in flight behind others on the connection with the fewest; else it waits in line, first come, first
    served. A next hop that takes fewer connections than `max_connections` is used with those it takes. What is decided
    here is decided at once, in the callback that made it possible; only opening a connection is a task.
    """

    def __init__(self, settings: RelaySettings, judge: AttemptJudge, connections_open: Callable[[int], None]) -> None:
        self._settings = settings
        self._judge = judge
        self._loop = asyncio.get_running_loop()
        self._count_open = connections_open
        self._tls_context = client_context(settings)
        self._connections: set[Connection] = set()
        self._open = OpenConnections(settings)
        self._attempts: dict[Transaction, Attempt] = {}
        self._line: deque[Attempt] = deque()
        self._again: deque[Attempt] = deque()
        self._openers: dict[asyncio.Task[Connection], None] = {}
        self._slots = 0
        self._ceiling = settings.max_connections
        self._ceiling_until = 0.0
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._feeding = False
        self._closing = False
        self._all_gone = asyncio.Event()

    def __repr__(self) -> str:
        return (
            f"connections={len(self._connections)} idle={len(self._open.idle)} slots={self._slots}/{self._ceiling}"
            f" in_flight={len(self._attempts)} waiting={self.waiting}"
        )

    @property
    def is_connected(self) -> bool:
        """Whether any connection is open."""
        return bool(self._connections)

    @property
    def waiting(self) -> int:
        """How many attempts wait for a connection."""
        return len(self._line) + len(self._again)

    def submit(self, attempt: Attempt) -> None:
        """Begin, now or when there is room."""
        if self._closing:
            attempt.end(self._judge.unreachable(attempt, ConnectFailure("shutting down")))
            return
        connection = None if self._line or self._again else self._room()
        if connection is not None:
            self._send(connection, attempt)
            return
        attempt.give_up_at = self._loop.time() + self._settings.wait_timeout
        self._line.append(attempt)
        self._open_more()
        self._keep_sweeping()

    def abandon(self, attempt: Attempt) -> None:
        """Nobody waits for its end any more. What is in flight together with others is not called back."""
        for line in (self._line, self._again):
            if attempt in line:
                line.remove(attempt)
                if self._openers:  # it was opened for this attempt; others who wait get one that does not hang
                    next(iter(self._openers)).cancel()
        if attempt.connection is not None and attempt.transaction in self._attempts:
            mates = (other for other in self._attempts.values() if other.connection is attempt.connection)
            if all(other.over for other in mates):
                attempt.connection.abort("abandoned")

    def spend(self, connection: Connection) -> None:
        """Give this connection no further transaction: another one may do better."""
        self._open.spend(connection)

    async def close(self) -> None:
        """Say goodbye on every connection; nothing may be in hand."""
        self._closing = True
        openers = tuple(self._openers)
        for opener in openers:
            opener.cancel()
        try:
            if openers:  # one may be ready by now: its connection says goodbye with the others
                await asyncio.wait(openers)
            for connection in self._open.idle:
                self._retire(connection)
            while self._connections:
                self._all_gone.clear()
                await self._all_gone.wait()
        finally:
            for connection in tuple(self._connections):
                connection.abort("shutting down")
            if self._sweep_timer is not None:
                self._sweep_timer.cancel()

    # Who goes where

    def _room(self) -> Connection | None:
        """A connection for one more transaction, or None if one should be opened, or there is no room at all."""
        connection = self._open.newest_idle()
        if connection is not None:
            return connection
        return None if self._slots < self._current_ceiling() else self._open.least_loaded()

    def _send(self, connection: Connection, attempt: Attempt) -> None:
        protocol = connection.protocol
        if not self._judge.fits(attempt, protocol.capabilities):
            attempt.end(protocol.capabilities)
            return
        attempt.connection = connection
        self._attempts[attempt.transaction] = attempt
        connection.send(attempt.transaction)
        self._open.moved(connection, self._loop.time())

    def _feed(self, connection: Connection) -> None:
        """Give the connection what waits, but for those who get a new connection of their own soon."""
        if self._feeding:  # a copy that was refused here and now: the loop below goes on
            return
        self._feeding = True
        while self._open.has_room(connection) and not (connection.load and self.waiting <= len(self._openers)):
            attempt = self._next_for(connection)
            if attempt is None:
                break
            self._send(connection, attempt)
        self._feeding = False

    def _next_for(self, connection: Connection) -> Attempt | None:
        while self._again and self._open.is_newer(connection, self._again[0].newer_than):
            if not (attempt := self._again.popleft()).over:
                return attempt
        while self._line:
            if not (attempt := self._line.popleft()).over:
                return attempt
        return None

    # ConnectionOwner

    def finished(self, connection: Connection, event: Finished) -> None:
        """A transaction has ended: there is room for another."""
        attempt = self._attempts.pop(event.transaction)
        if not attempt.over:
            outcome = self._judge.finished(attempt, connection, event)
            if outcome is None:
                self.spend(connection)
            self._end(attempt, outcome)
        now = self._loop.time()
        self._open.moved(connection, now)
        if self._line or self._again:
            self._feed(connection)
        if connection.load or connection.closed or connection not in self._open:
            return
        connection.idle_since = now
        if self._closing or not self._open.is_usable(connection):
            self._retire(connection)

    def lost(self, connection: Connection, event: Lost, *, may_be_taken: bool) -> None:
        """A transaction was lost with its connection."""
        attempt = self._attempts.pop(event.transaction)
        if not attempt.over:
            self._end(attempt, self._judge.lost(attempt, connection, event, may_be_taken=may_be_taken))

    def closed(self, connection: Connection) -> None:
        """The connection takes no more: its place is free."""
        if self._leave(connection):
            self._open_more()

    def gone(self, connection: Connection) -> None:
        """The transport is gone."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._count_open(-1)
        if not self._connections:
            self._all_gone.set()

    def _end(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if outcome is not None:
            attempt.end(outcome)
            return
        attempt.transaction = attempt.transaction.renewed()
        attempt.connection = None
        attempt.newer_than = self._open.last_number
        attempt.give_up_at = self._loop.time() + self._settings.wait_timeout
        self._again.append(attempt)
        self._open_more()

    def _leave(self, connection: Connection) -> bool:
        """Give up the connection's place; whether it had one."""
        if not self._open.remove(connection):
            return False
        self._slots -= 1
        return True

    def _retire(self, connection: Connection) -> None:
        self._leave(connection)
        connection.quit()
        self._open_more()

    # Opening

    def _open_more(self) -> None:
        """Open connections for those who wait, as many as may be."""
        waiting = 0 if self._closing else self.waiting
        while len(self._openers) < waiting and self._slots < self._current_ceiling():
            self._slots += 1
            opening = open_connection(self._settings, self._tls_context, self)
            opener = self._loop.create_task(opening)
            self._openers[opener] = None
            opener.add_done_callback(self._opener_done)

    def _opener_done(self, opener: asyncio.Task[Connection]) -> None:
        del self._openers[opener]
        failure = None if opener.cancelled() else opener.exception()
        if failure is None and not opener.cancelled() and not (connection := opener.result()).closed:
            self._adopt(connection)
            return
        self._slots -= 1
        if opener.cancelled():
            self._open_more()
        elif isinstance(failure, ConnectFailure):
            self._not_opened(failure)
        else:
            self._not_opened(ConnectFailure(repr(failure) if failure else "closed as soon as it was open"))

    def _adopt(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._count_open(1)
        self._judge.reachable()
        self._open.add(connection, self._loop.time())
        self._feed(connection)
        self._keep_sweeping()

    def _not_opened(self, failure: ConnectFailure) -> None:
        if not self._slots:
            waiting = (*self._again, *self._line)
            self._again.clear()
            self._line.clear()
            for attempt in waiting:
                attempt.end(self._judge.unreachable(attempt, failure))
            return
        # Others are open, or being opened: this hop may only take fewer than we like.
        self._ceiling = self._slots
        self._ceiling_until = self._loop.time() + _CEILING_SECONDS
        self._line.extendleft(reversed(self._again))  # there will be no new connection: any one will have to do
        self._again.clear()
        for connection in self._open.with_room():
            self._feed(connection)

    def _current_ceiling(self) -> int:
        if not self._slots or self._loop.time() >= self._ceiling_until:
            self._ceiling = self._settings.max_connections
        return self._ceiling

    # Time

    def _keep_sweeping(self) -> None:
        if self._sweep_timer is None:
            settings = self._settings
            shortest = min(
                settings.idle_seconds,
                settings.command_timeout,
                settings.content_timeout,
                settings.wait_timeout,
                settings.max_connection_age or settings.idle_seconds,
            )
            seconds = min(1.0, shortest / _SWEEPS_PER_TIMEOUT)
            self._sweep_timer = self._loop.call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        """One timer for all: end connections that did not answer, those nobody needed, and waits that are over."""
        now = self._loop.time()
        for connection in tuple(self._connections):
            if connection.deadline < now:
                connection.expire()
        for connection in self._open.idle:
            if connection.idle_since + self._settings.idle_seconds < now or self._open.is_old(connection, now):
                self._retire(connection)
        if self._slots > len(self._openers):  # else those that open connections decide
            for line in (self._again, self._line):
                while line and line[0].give_up_at < now:
                    self._give_up(line.popleft())
        self._sweep_timer = None
        if self._connections or self._line or self._again:
            self._keep_sweeping()

    def _give_up(self, attempt: Attempt) -> None:
        failure = ConnectFailure(f"no connection became free in {self._settings.wait_timeout:g} s")
        attempt.end(self._judge.unreachable(attempt, failure))
