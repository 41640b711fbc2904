"""The smart host: a pool of connections that copies are delivered over."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import TYPE_CHECKING

from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Delivery, Outcome, Status, outcome_of
from mailwake.relay.opening import ConnectFailure, open_connection
from mailwake.relay.tls import client_context
from mailwake.smtp.client_events import Event, Finished, Lost
from mailwake.smtp.client_transaction import Transaction
from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    from mailwake.logs import Logger
    from mailwake.relay.connection import Connection
    from mailwake.relay.settings import RelaySettings

_CEILING_SECONDS = 30.0
"""How long a next hop that refused one more connection, while others were open, is not asked for more."""

_SWEEPS_PER_TIMEOUT = 4


class SmartHost(Delivery):
    """A `Delivery` to one next hop over connections that are kept open and reused, the newest first.

    Copies wait in line when all connections are busy. A hop that takes fewer connections than `max_connections` is
    used with those it takes. A connection that turns out to be dead when it is used again is replaced, once, unseen.

    When it is lost before any reply to the transaction came, the hop is taken to have seen nothing. With BDAT that is a
    guess (it might have taken all and died before it answered), but to report it as uncertain would make the sender
    repeat the message just the same.
    """

    def __init__(self, settings: RelaySettings, *, log: Logger, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self._log = log
        metrics = metrics or Metrics()
        self._counters = {status: metrics.counter("copies_total", status.value) for status in Status}
        self._open = metrics.counter("relay_connections_open", settings.address)
        self._seconds = metrics.histogram("relay_seconds")
        self._tls_context = client_context(settings)
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._slots = 0
        self._ceiling = settings.max_connections
        self._ceiling_until = 0.0
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._in_hand = 0
        self._closing = False
        self._quiet = asyncio.Event()
        self._unreachable = False

    def __repr__(self) -> str:
        return (
            f"<SmartHost {self.settings.address} connections={len(self._connections)} idle={len(self._idle)}"
            f" slots={self._slots}/{self._ceiling} in_hand={self._in_hand} waiting={len(self._waiters)}>"
        )

    async def deliver(self, copy: Copy) -> Outcome:
        """Try once, now; trouble with the network is an outcome, never an exception."""
        self._in_hand += 1
        time = asyncio.get_running_loop().time
        began = time()
        try:
            outcome = await self._attempt(copy)
        except ConnectFailure as failure:
            outcome = self._unreachable_outcome(failure)
        finally:
            self._in_hand -= 1
            self._quiet.set()
        self._counters[outcome.status].inc()
        self._seconds.observe(time() - began)
        return outcome

    async def close(self) -> None:
        """Finish what is in hand and say goodbye on every connection."""
        self._closing = True
        try:
            while self._in_hand:
                self._quiet.clear()
                await self._quiet.wait()
            while self._idle:
                self._retire(self._idle.pop())
            while self._connections:
                self._quiet.clear()
                await self._quiet.wait()
        finally:
            for connection in tuple(self._connections):
                connection.abort("shutting down")
            if self._sweep_timer is not None:
                self._sweep_timer.cancel()

    # One copy

    async def _attempt(self, copy: Copy) -> Outcome:
        if self._idle and not self._closing:  # then nobody waits
            connection, reused = self._idle.pop(), True
        else:
            connection, reused = await self._take_connection()
        try:
            event = await connection.send(_transaction(copy))
            if reused and _is_untouched(event) and not connection.expired:
                try:
                    connection = await self._open_in_slot()
                except ConnectFailure:
                    if isinstance(event, Lost) and event.transaction.content_sent:
                        return self._outcome(event, connection)  # "unreachable" would say that nothing was sent
                    raise
                event = await connection.send(_transaction(copy))
            return self._outcome(event, connection)
        except BaseException:
            connection.abort("abandoned")
            raise
        finally:
            self._give_back(connection)

    def _outcome(self, event: Event, connection: Connection) -> Outcome:
        address = self.settings.address
        if isinstance(event, Finished):
            return outcome_of(event.reply, address, event.stage)
        assert isinstance(event, Lost)
        transaction = event.transaction
        if transaction.refusal is not None:
            reply, stage = transaction.refusal
            return outcome_of(reply, address, stage)
        # What has not all left this process cannot have been taken: its end is missing.
        uncertain = transaction.content_sent and not connection.unsent
        if uncertain:
            self._log.warning("copy may be delivered twice", next_hop=address, reason=event.reason)
        reply = Reply(451, "4.4.2", f"Connection to next hop {address} lost")
        return Outcome(
            Status.UNCERTAIN if uncertain else Status.DEFERRED, reply, address, event.stage or "mail", event.reason
        )

    def _unreachable_outcome(self, failure: ConnectFailure) -> Outcome:
        address = self.settings.address
        if not self._unreachable:
            self._unreachable = True
            self._log.warning("next hop cannot be used", next_hop=address, reason=str(failure))
        reply = Reply(451, "4.4.1", f"Next hop {address} cannot be reached")
        return Outcome(Status.UNREACHABLE, reply, address, "connect", str(failure))

    # Connections

    async def _take_connection(self) -> tuple[Connection, bool]:
        """A connection for one transaction, and whether it was used before; raises ConnectFailure."""
        if self._closing:
            raise ConnectFailure("shutting down")
        give_up_at = asyncio.get_running_loop().time() + self.settings.wait_timeout
        while True:
            connection = await self._wait_in_line(give_up_at)
            if connection is not None:
                return connection, connection.transactions > 0
            try:
                return await self._open_in_slot(), False
            except ConnectFailure as failure:
                self._slots -= 1  # not handed to the next in line, who would fail as well
                if not self._slots:
                    self._fail_waiters(failure)
                    raise
                # Others are open, or being opened: this hop may only take fewer than we like.
                self._ceiling = self._slots
                self._ceiling_until = asyncio.get_running_loop().time() + _CEILING_SECONDS
            except BaseException:
                self._release_slot()
                raise

    async def _wait_in_line(self, give_up_at: float) -> Connection | None:
        """A connection, or None for the right to open one."""
        if self._idle:
            return self._idle.pop()
        if not self._waiters and self._slots < self._current_ceiling():
            self._slots += 1
            return None
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_at(give_up_at, self._give_up_waiting, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._leave_line(waiter)
            raise
        finally:
            timer.cancel()

    def _give_up_waiting(self, waiter: asyncio.Future[Connection | None]) -> None:
        if not waiter.done():
            self._waiters.remove(waiter)
            waiter.set_exception(ConnectFailure(f"no connection became free in {self.settings.wait_timeout:g} s"))

    def _leave_line(self, waiter: asyncio.Future[Connection | None]) -> None:
        """The waiting task was cancelled, perhaps just when its turn had come."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            connection = waiter.result()
            if connection is None:
                self._release_slot()
            else:
                self._give_back(connection)

    def _fail_waiters(self, failure: ConnectFailure) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectFailure(str(failure)))

    async def _open_in_slot(self) -> Connection:
        connection = await open_connection(self.settings, self._tls_context, self._forget)
        if not connection.gone:
            self._connections.add(connection)
            self._open.inc()
        self._keep_sweeping()
        if self._unreachable:
            self._unreachable = False
            self._log.info("next hop can be used again", next_hop=self.settings.address)
        return connection

    def _give_back(self, connection: Connection) -> None:
        limit = self.settings.max_messages_per_connection
        if connection.closed:
            self._release_slot()
        elif (limit and connection.transactions >= limit) or (self._closing and not self._waiters):
            self._retire(connection)
        elif (waiter := self._next_waiter()) is not None:
            waiter.set_result(connection)
        else:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)

    def _retire(self, connection: Connection) -> None:
        connection.quit()
        self._release_slot()

    def _release_slot(self) -> None:
        self._slots -= 1
        if self._slots < self._current_ceiling() and (waiter := self._next_waiter()) is not None:
            self._slots += 1
            waiter.set_result(None)

    def _next_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _current_ceiling(self) -> int:
        if not self._slots or asyncio.get_running_loop().time() >= self._ceiling_until:
            self._ceiling = self.settings.max_connections
        return self._ceiling

    def _forget(self, connection: Connection) -> None:
        """The connection is gone."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._open.inc(-1)
        if connection in self._idle:
            self._idle.remove(connection)
            self._release_slot()
        self._quiet.set()

    # Time

    def _keep_sweeping(self) -> None:
        if self._sweep_timer is None:
            settings = self.settings
            shortest = min(settings.idle_seconds, settings.command_timeout, settings.content_timeout)
            seconds = min(1.0, shortest / _SWEEPS_PER_TIMEOUT)
            self._sweep_timer = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        """One timer for all connections: end those that did not answer, say goodbye on those nobody needed."""
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._connections):
            if connection.deadline < now:
                connection.expire()
        oldest_first = itertools.takewhile(lambda c: c.idle_since + self.settings.idle_seconds < now, self._idle)
        expired = len(tuple(oldest_first))
        retired, self._idle = self._idle[:expired], self._idle[expired:]
        for connection in retired:
            self._retire(connection)
        self._sweep_timer = None
        if self._connections:
            self._keep_sweeping()


def _transaction(copy: Copy) -> Transaction:
    return Transaction(copy.sender, copy.recipient, copy.pieces, copy.smtputf8, copy.body == "8BITMIME")


def _is_untouched(event: Event) -> bool:
    """Whether the hop cannot have accepted anything of the content: it dropped the idle connection, or says 421."""
    if isinstance(event, Lost):
        return not event.transaction.answered
    return isinstance(event, Finished) and event.reply.code == 421 and event.stage != "content"
