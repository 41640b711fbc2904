"""The smart host: copies delivered to one next hop over a pool of connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mailwake.metrics import Metrics
from mailwake.relay.connection_pool import Attempt, AttemptJudge, ConnectionPool
from mailwake.relay.delivery import Copy, Delivery, Outcome, Status
from mailwake.relay.downgrade import Downgrade
from mailwake.relay.opening import ConnectFailure
from mailwake.relay.outcomes import of_connect_failure, of_finished, of_impossible_conversion, of_lost, of_missing_tls
from mailwake.rewrite.transfer_conversion import ConversionImpossible
from mailwake.smtp.client_transaction import Transaction

if TYPE_CHECKING:
    from mailwake.logs import Logger
    from mailwake.relay.connection import Connection
    from mailwake.relay.settings import RelaySettings
    from mailwake.smtp.client_events import Finished, Lost
    from mailwake.smtp.client_handshake import Capabilities


class SmartHost(Delivery, AttemptJudge):
    """A `Delivery` to one next hop; `relay/connection_pool.py` says which connection takes which copy.

    A connection that ends while copies are on their way over it leaves each of them in one of these states:

    - The hop said 421 to it before its content, or to something before it: the hop closes without a look at the rest
      (RFC 5321 §3.8). It is tried again over a new connection, once, unseen. The exception is the first transaction of
      a connection: there 421 is the hop's answer to it, and the outcome. 452 to MAIL is taken for the same: some hops
      say it when a connection has brought enough messages.
    - Nothing was answered since the connection was last quiet, and it had been used before: most likely the hop had
      dropped the idle connection and seen nothing of what was sent since. All of it is tried again, once, unseen. With
      BDAT that is a guess (the hop might have taken a message and died before it answered anything), but to report it
      as uncertain would make the sender repeat the message just the same. `copies_resent_total` counts these cases.
    - Anything else: the hop lived, and answers in order, but it may have worked on further than its replies came. A
      copy that has left this process with its last octet is uncertain, also one behind others that were not answered;
      one that has not is safe to try again, as its end is missing.
    """

    def __init__(self, settings: RelaySettings, *, log: Logger, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self._log = log
        metrics = metrics or Metrics()
        address = settings.address
        self._counters = {status: metrics.counter("relay_attempts_total", address, status.value) for status in Status}
        self._resent = {reason: metrics.counter("copies_resent_total", reason) for reason in ("421", "452", "silence")}
        self._seconds = metrics.histogram("relay_seconds")
        self._pool = ConnectionPool(settings, self, metrics.counter("relay_connections_open", address).inc)
        self._downgrade = Downgrade(settings, log=log, metrics=metrics)
        self._in_hand = 0
        self._closing = False
        self._quiet = asyncio.Event()
        self._unreachable = False

    def __repr__(self) -> str:
        return f"<SmartHost {self.settings.address} in_hand={self._in_hand} {self._pool!r}>"

    @property
    def is_connected(self) -> bool:
        """Whether any connection to it is open."""
        return self._pool.is_connected

    @property
    def waiting(self) -> int:
        """How many copies wait because all its connections are busy."""
        return self._pool.waiting

    async def deliver(self, copy: Copy) -> Outcome:
        """Try once, now; trouble with the network is an outcome, never an exception."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._in_hand += 1
        try:
            outcome = await self._carry(copy, loop)
        finally:
            self._in_hand -= 1
            if self._closing:
                self._quiet.set()
        self._counters[outcome.status].inc()
        self._seconds.observe(loop.time() - began)
        return outcome

    async def close(self) -> None:
        """Finish what is in hand and say goodbye on every connection."""
        self._closing = True
        while self._in_hand:
            self._quiet.clear()
            await self._quiet.wait()
        await self._pool.close()

    async def _carry(self, copy: Copy, loop: asyncio.AbstractEventLoop) -> Outcome:
        if self._closing:
            return of_connect_failure(ConnectFailure("shutting down"), self.settings)
        result = await self._attempt(Attempt(_transaction(copy), loop.create_future()))
        while not isinstance(result, Outcome):
            try:
                copy = await self._downgrade.fit(copy, eight_bit=result.eight_bit_mime)
            except ConversionImpossible as refusal:
                return of_impossible_conversion(refusal, self.settings)
            # There is no third form: what is left of 8-bit octets then stands in header fields.
            result = await self._attempt(
                Attempt(_transaction(copy), loop.create_future(), as_it_is=copy.body == "7BIT")
            )
        return result

    async def _attempt(self, attempt: Attempt) -> Outcome | Capabilities:
        self._pool.submit(attempt)
        try:
            return await attempt.ended
        except asyncio.CancelledError:
            self._pool.abandon(attempt)
            raise

    # AttemptJudge

    def finished(self, attempt: Attempt, connection: Connection, event: Finished) -> Outcome | None:
        """The next hop answered; that it is tired of a connection that was good once is no answer to this copy."""
        tired = (event.reply.code == 421 and event.stage != "content") or (
            event.reply.code == 452 and event.stage == "mail"  # OpenSMTPD's after a hundred messages
        )
        if tired and connection.finished > 1 and attempt.before is None:
            attempt.before = of_finished(event, self.settings, connection.protocol.capabilities)
            self._resent[str(event.reply.code)].inc()
            return None
        if event.reply.code == 530 and connection.lacks_tls:
            self._pool.spend(connection)
            return of_missing_tls(event, self.settings)
        return of_finished(event, self.settings, connection.protocol.capabilities)

    def lost(self, attempt: Attempt, connection: Connection, event: Lost, *, may_be_taken: bool) -> Outcome | None:
        """The connection was lost with the copy on it: see the class."""
        outcome = of_lost(event, self.settings, may_be_taken=may_be_taken)
        if attempt.before is None and not connection.expired:
            silence = not event.heard and connection.finished > 0
            if event.behind_421 or silence:
                attempt.before = outcome
                self._resent["421" if event.behind_421 else "silence"].inc()
                return None
        if outcome.status is Status.UNCERTAIN:
            self._warn_of_two(event.reason)
        return outcome

    def unreachable(self, attempt: Attempt, failure: ConnectFailure) -> Outcome:
        """No connection can be had. A copy that the hop may have taken before is not reported as never sent."""
        if attempt.before is not None and attempt.before.status is Status.UNCERTAIN:
            self._warn_of_two(attempt.before.reason)
            return attempt.before
        if not self._unreachable:
            self._unreachable = True
            self._log.warning("next hop cannot be used", next_hop=self.settings.address, reason=str(failure))
        return of_connect_failure(failure, self.settings)

    def fits(self, attempt: Attempt, offered: Capabilities) -> bool:
        """Whether the content can go as it is to a next hop that offers this."""
        transaction = attempt.transaction
        return attempt.as_it_is or not self._downgrade.is_needed(
            transaction.body, transaction.pieces, eight_bit=offered.eight_bit_mime, binary=offered.binary_mime
        )

    def reachable(self) -> None:
        """A connection has been opened."""
        if self._unreachable:
            self._unreachable = False
            self._log.info("next hop can be used again", next_hop=self.settings.address)

    def _warn_of_two(self, reason: str) -> None:
        self._log.warning("copy may be delivered twice", next_hop=self.settings.address, reason=reason)


def _transaction(copy: Copy) -> Transaction:
    return Transaction(copy.sender, copy.recipient, copy.pieces, copy.smtputf8, copy.body, copy.dsn)
