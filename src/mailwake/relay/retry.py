"""The loop that tries spooled copies until they are delivered or given up."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Delivery, Status
from mailwake.relay.route_pauses import RoutePauses
from mailwake.spool.contract import AT_ONCE, DEFAULT_CLAIM_OCTETS, Settlement, SpoolError
from mailwake.spool.steady_time import Moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.clock import Clock
    from mailwake.logs import Logger
    from mailwake.relay.attempt_end import AttemptEnd, AttemptEnds, AttemptEvents
    from mailwake.relay.delivery import Outcome
    from mailwake.spool.contract import SpooledCopy
    from mailwake.spool.group_commit import GroupCommit

UPKEEP_SECONDS = 2.0
"""How often it is looked whether another worker has died with copies in hand, or events were left."""

CLAIM_OCTETS = 4 << 20
"""What one claim brings at most: the loop waits for it."""

TROUBLE_SECONDS = 300.0
"""How long a copy waits after an attempt ended in a defect of ours."""


class RetryLoop:
    """Claims due copies from the spool and delivers them, at most `concurrency` at a time.

    Every worker process runs one on the same spool: what one has claimed no other has, until it is settled, given back,
    or its worker is gone. Copies wait here for their turn, so that a claim brings many: up to four times `concurrency`.
    """

    def __init__(
        self,
        spool: GroupCommit,
        delivery: Delivery,
        ends: AttemptEnds,
        events: AttemptEvents,
        clock: Clock,
        *,
        log: Logger,
        metrics: Metrics | None = None,
        concurrency: int = 20,
        poll_seconds: float = 1.0,
        settle_again_seconds: float = 5.0,
    ) -> None:
        self._front = spool
        self._spool = spool.spool
        self._delivery = delivery
        self._ends = ends
        self._events = events
        self._clock = clock
        self._log = log
        self._metrics = metrics or Metrics()
        self._at_once = asyncio.Semaphore(concurrency)
        self._most_in_hand = 4 * concurrency
        self._poll_seconds = poll_seconds
        self._settle_again_seconds = settle_again_seconds
        self._pauses = RoutePauses(clock)
        # By task: an attempt's last step is the writing of its events, and by then the copy may be due again.
        self._in_hand: dict[asyncio.Task[None], int] = {}
        self._octets = 0
        self._reserved = 0
        self._more_is_due = True
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_up())]

    async def stop(self, grace_seconds: float = 30.0) -> None:
        """Claim no more, give the attempts under way some time to end, and give back what was not tried."""
        self._stopping = True
        self._wake.set()
        if self._tasks:
            claiming, upkeep = self._tasks
            await claiming  # not cancelled: what a thread claims that nobody waits for would be in hand for ever
            upkeep.cancel()
            await asyncio.gather(upkeep, return_exceptions=True)
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=grace_seconds)
        unfinished = dict(self._in_hand)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if unfinished:
            await self._give_back(list(unfinished.values()))

    def wake(self) -> None:
        """Look at the spool now: something due was put into it."""
        self._more_is_due = True
        self._wake.set()

    def reserve(self, routes: Sequence[str], octets: int) -> bool:
        """Whether copies with these routes may be put into the spool in hand; if so, say `begin` or `unreserve`."""
        room = self._most_in_hand - len(self._in_hand) - self._reserved
        if self._stopping or len(routes) > room or self._octets + octets > DEFAULT_CLAIM_OCTETS:
            return False
        if self._pauses and not set(routes).isdisjoint(self._pauses.routes()):
            return False
        self._reserved += len(routes)
        return True

    def unreserve(self, number: int) -> None:
        """Say that so many reserved copies do not come."""
        self._reserved -= number

    def begin(self, copies: Sequence[SpooledCopy]) -> None:
        """Try copies that this worker has in hand; they were reserved."""
        self._reserved -= len(copies)
        for copy in copies:
            self._take(copy)

    async def claim(self) -> int:
        """Take copies that are due, as many as there is room for; how many were taken."""
        room = self._most_in_hand - len(self._in_hand) - self._reserved
        taken = 0
        if 2 * room >= self._most_in_hand:
            now = self._spool.now()
            copies = await self._front.run(
                lambda: self._spool.claim_due(
                    now,
                    room,
                    max(1, min(CLAIM_OCTETS, DEFAULT_CLAIM_OCTETS - self._octets)),
                    except_routes=self._pauses.routes(),
                    queued_by=now - self._ends.expiry,
                )
            )
            self._more_is_due = bool(copies)
            for copy in copies:
                self._take(copy)
            taken = len(copies)
        for route in self._pauses.to_ask():
            taken += await self._ask(route)
        return taken

    async def settle(self) -> None:
        """Wait until nothing is in hand."""
        while self._in_hand:
            await asyncio.wait(self._in_hand)

    async def _ask(self, route: str) -> int:
        """Send one copy on a route that was down; how many: 0 when there is none."""
        now = self._spool.now()
        copies = await self._front.run(lambda: self._spool.claim_due(now, 1, only_route=route))
        for copy in copies:
            self._pauses.asking(route)
            self._take(copy, asking=True)
        return len(copies)

    def _take(self, copy: SpooledCopy, *, asking: bool = False) -> None:
        self._octets += _size(copy)
        task = asyncio.create_task(self._handle(copy, asking=asking))
        self._in_hand[task] = copy.id
        task.add_done_callback(partial(self._let_go, copy, asking=asking))

    def _let_go(self, copy: SpooledCopy, task: asyncio.Task[None], *, asking: bool) -> None:
        if asking:
            self._pauses.not_asked(copy.route)
        del self._in_hand[task]
        self._octets -= _size(copy)
        if self._more_is_due and 2 * len(self._in_hand) <= self._most_in_hand:
            self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                taken = await self.claim()
            except Exception as error:  # whatever it is, the loop goes on
                self._log.error("spool cannot be read", reason=str(error), exc_info=not isinstance(error, SpoolError))
                taken = 0
            if not taken and not self._stopping:
                soonest = self._pauses.soonest()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(self._poll_seconds, soonest or self._poll_seconds)):
                        await self._wake.wait()

    async def _keep_up(self) -> None:
        while True:
            try:
                if await self._front.run(self._spool.recover):
                    self.wake()
                for events in await self._front.run(lambda: self._spool.left_events(100)):
                    await self._events.publish(events)
            except Exception as error:  # whatever it is, the loop goes on
                known = isinstance(error, SpoolError)
                self._log.error("spool cannot be looked after", reason=str(error), exc_info=not known)
            await asyncio.sleep(UPKEEP_SECONDS)

    async def _handle(self, copy: SpooledCopy, *, asking: bool) -> None:
        outcome: Outcome | None = None
        try:
            async with self._at_once:
                if not self._stopping:
                    outcome = await self._attempt(copy, asking=asking)
            if outcome is None:
                await self._give_back([copy.id])
            else:
                await self._settle(copy, outcome)
        except Exception as error:  # one copy's trouble must not end the loop
            self._log.error("retry failed", message_id=copy.message_id, reason=str(error), exc_info=True)
            await self._end_without(copy, outcome)

    async def _attempt(self, copy: SpooledCopy, *, asking: bool) -> Outcome | None:
        """How it ended; None when it has to wait, because its route is down."""
        known = self._pauses.outcome(copy.route)
        if known is not None and not asking and copy.next_attempt != AT_ONCE:
            # One that has expired waits no longer: what is known of its route is what an attempt would bring.
            return known if self._spool.now() >= copy.queued_at + self._ends.expiry else None
        outcome = await self._delivery.deliver(
            Copy(
                copy.sender,
                copy.recipient,
                copy.pieces or (copy.content,),
                copy.smtputf8,
                copy.body,
                copy.dsn,
                copy.route,
            )
        )
        if self._pauses.learn(copy.route, outcome):
            self._log.info("the next hop is back", route=copy.route or "default", next_hop=outcome.next_hop)
            self.wake()
        return outcome

    async def _settle(self, copy: SpooledCopy, outcome: Outcome) -> None:
        end = self._ends.decide(copy, outcome, Moment(self._spool.now(), self._clock.now()))
        result = end.result if await self._settled(end) else "gone"
        self._metrics.counter("spool_retries_total", result).inc()
        if result == "dropped":
            self._metrics.counter("spool_reports_dropped_total").inc()
        for report in end.settlement.reports if result != "gone" else ():
            reason = "bounce" if end.result == "bounced" else "report"
            self._metrics.counter("spool_entries_total", reason).inc()
            if report.route not in self._pauses.routes():
                self.wake()
        log = self._log.warning if result in ("dropped", "untold") else self._log.info
        log(
            "retried" if copy.attempts else "tried",
            result=result,
            transmission=copy.transmission_id,
            message_id=copy.message_id,
            customer=copy.customer,
            sender=copy.sender,
            recipient=copy.recipient,
            next_hop=outcome.next_hop,
            reply=str(outcome.reply),
            reason=outcome.reason,
            attempts=copy.attempts + 1,
            waited=round(max(0.0, self._spool.now() - copy.queued_at), 1),
        )
        if end.settlement.events.payloads and (result != "gone" or end.settlement.fate == "taken"):
            await self._events.publish(end.settlement.events)

    async def _settled(self, end: AttemptEnd) -> bool:
        """Tell the spool until it has understood: a copy that was delivered must not be sent again."""
        while True:
            try:
                return await self._front.run(lambda: self._spool.settle(end.settlement))
            except SpoolError as error:
                self._log.error("an attempt cannot be written to the spool", result=end.result, reason=str(error))
            await asyncio.sleep(self._settle_again_seconds)

    async def _give_back(self, ids: list[int]) -> None:
        try:
            await self._front.run(lambda: self._spool.give_back(ids))
        except SpoolError as error:  # it comes back when this worker ends
            self._log.error("a copy cannot be given back to the spool", reason=str(error))

    async def _end_without(self, copy: SpooledCopy, outcome: Outcome | None) -> None:
        """After a defect of ours: what was delivered is gone; anything else is tried again, as if nothing had been."""
        if outcome is not None and outcome.status is Status.DELIVERED:
            settlement = Settlement(entry_id=copy.id, fate="taken")
        else:
            settlement = Settlement(
                entry_id=copy.id,
                fate="deferred",
                next_attempt=self._spool.now() + TROUBLE_SECONDS,
                reply_text=copy.last_reply,
                attempts=copy.attempts,
                delay_told=copy.delay_told,
            )
        try:
            await self._front.run(lambda: self._spool.settle(settlement))
        except SpoolError as error:  # it comes back when this worker ends
            self._log.error("a copy cannot be put off in the spool", reason=str(error))


def _size(copy: SpooledCopy) -> int:
    return sum(map(len, copy.pieces)) if copy.pieces else len(copy.content)
