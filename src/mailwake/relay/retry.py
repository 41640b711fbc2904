"""The loop that tries spooled copies again until they are delivered or bounced."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Delivery, Outcome, Status
from mailwake.spool.contract import SpoolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailwake.clock import Clock
    from mailwake.logs import Logger
    from mailwake.relay.bounce_report import BounceReports
    from mailwake.relay.schedule import RetrySchedule
    from mailwake.spool.contract import Spool, SpooledCopy


class RetryLoop:
    """Claims due copies from the spool and delivers them, at most `concurrency` at a time.

    Every worker process runs one on the same spool: a claim is a lease, renewed while the copy is in hand, so a copy
    is with one worker at a time, and one whose worker was killed comes back after `lease_seconds`.

    `on_outcome(copy, outcome, final)` is told of every attempt after the spool knows; `final` says that the copy is
    gone from the spool (delivered, bounced or dropped). What it raises is logged.
    """

    def __init__(
        self,
        spool: Spool,
        delivery: Delivery,
        schedule: RetrySchedule,
        clock: Clock,
        on_outcome: Callable[[SpooledCopy, Outcome, bool], Awaitable[None]],
        reports: BounceReports,
        *,
        log: Logger,
        metrics: Metrics | None = None,
        concurrency: int = 8,
        poll_seconds: float = 5.0,
        lease_seconds: float = 300.0,
    ) -> None:
        self._spool = spool
        self._delivery = delivery
        self._schedule = schedule
        self._clock = clock
        self._on_outcome = on_outcome
        self._reports = reports
        self._log = log
        self._metrics = metrics or Metrics()
        self._concurrency = concurrency
        self._poll_seconds = poll_seconds
        self._lease_seconds = lease_seconds
        self._in_hand: dict[int, asyncio.Task[None]] = {}
        self._undeleted: set[int] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._keep_leases())]

    async def stop(self, grace_seconds: float = 30.0) -> None:
        """Claim no more, and give the attempts in hand some time to end; the leases of the others run out."""
        self._stopping = True
        self._wake.set()
        if self._tasks:
            claiming, renewing = self._tasks
            await (
                claiming
            )  # not cancelled: copies claimed by a thread nobody waits for would lie until their lease ends
            renewing.cancel()
        if self._in_hand:
            await asyncio.wait(self._in_hand.values(), timeout=grace_seconds)
        unfinished = list(self._in_hand.values())
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    def wake(self) -> None:
        """Look at the spool now: something due was put into it."""
        self._wake.set()

    async def claim(self) -> int:
        """Begin attempts for copies that are due, as many as may run at once; how many were begun."""
        room = self._concurrency - len(self._in_hand)
        if room <= 0:
            return 0
        copies = await asyncio.to_thread(self._spool.claim_due, self._clock.now(), room, self._lease_seconds)
        # One whose lease ran out while it is still in hand here (a suspended machine) must not start twice.
        begun = [copy for copy in copies if copy.id not in self._in_hand]
        for copy in begun:
            self._in_hand[copy.id] = asyncio.create_task(self._attempt(copy))
        return len(begun)

    async def settle(self) -> None:
        """Wait until no attempt is in hand."""
        while self._in_hand:
            await asyncio.wait(self._in_hand.values())

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                begun = await self.claim()
            except SpoolError as error:
                self._log.error("spool cannot be read", reason=str(error))
                begun = 0
            if not begun and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await self._wake.wait()

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            if self._in_hand:
                try:
                    until = self._clock.now() + self._lease_seconds
                    await asyncio.to_thread(self._spool.renew, list(self._in_hand), until)
                except SpoolError as error:
                    self._log.error("leases cannot be renewed", reason=str(error))

    async def _attempt(self, copy: SpooledCopy) -> None:
        try:
            if copy.id in self._undeleted:
                await self._delete_delivered(copy.id)
                return
            outcome = await self._delivery.deliver(
                Copy(copy.sender, copy.recipient, (copy.content,), copy.smtputf8, copy.body, copy.dsn, copy.route)
            )
            result, final = await self._record(copy, outcome)
            self._metrics.counter("spool_retries_total", result).inc()
            self._log.info(
                "retried",
                result=result,
                message_id=copy.message_id,
                recipient=copy.recipient,
                reply=str(outcome.reply),
                reason=outcome.reason,
                attempts=copy.attempts + 1,
            )
            await self._on_outcome(copy, outcome, final)
        except (
            Exception
        ) as error:  # one copy's trouble must not end the loop; its lease runs out, and it is tried again
            self._log.error("retry failed", message_id=copy.message_id, reason=str(error), exc_info=True)
        finally:
            del self._in_hand[copy.id]
            self._wake.set()

    async def _record(self, copy: SpooledCopy, outcome: Outcome) -> tuple[str, bool]:
        """Tell the spool; what became of the copy, and whether it is gone from there."""
        if outcome.status is Status.DELIVERED:
            await self._delete_delivered(copy.id)
            return "delivered", True
        now = self._clock.now()
        attempts = copy.attempts + 1
        next_attempt = self._schedule.next_attempt(queued_at=copy.queued_at, attempts=attempts, now=now)
        if outcome.status is Status.REFUSED or next_attempt is None:
            return await self._bounce(copy, outcome, now), True
        await asyncio.to_thread(self._spool.defer, copy.id, next_attempt, str(outcome.reply), attempts)
        return outcome.status.value, False

    async def _delete_delivered(self, entry_id: int) -> None:
        """Forget a delivered copy; if the disk will not have it, it is at least not sent again by this process."""
        try:
            await asyncio.to_thread(self._spool.delivered, entry_id)
        except SpoolError as error:
            self._undeleted.add(entry_id)
            self._log.error("delivered copy cannot be deleted from the spool", reason=str(error))
        else:
            self._undeleted.discard(entry_id)

    async def _bounce(self, copy: SpooledCopy, outcome: Outcome, now: float) -> str:
        report = self._reports.entry(copy, outcome, now)
        if report is None:  # RFC 5321 §6.1: never a report about a report
            await asyncio.to_thread(self._spool.remove, copy.id)
            self._log.warning("undeliverable report dropped", recipient=copy.recipient, reply=str(outcome.reply))
            return "dropped"
        if await asyncio.to_thread(self._spool.replace, copy.id, report) is None:
            return "gone"
        self._metrics.counter("spool_entries_total", "bounce").inc()
        return "bounced"
