"""What is left of a message of which some copies were taken: deferred copies wait in the spool, refused ones bounce."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mailwake.events.model import EventType
from mailwake.events.record import pack_copy_facts, split_copy_facts
from mailwake.flows.message_events import event_outcome
from mailwake.relay.delivery import Status
from mailwake.spool.contract import NewEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.clock import Clock
    from mailwake.flows.message_events import MessageEvents
    from mailwake.flows.preparation import Preparation
    from mailwake.flows.prepared_message import PreparedMessage
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.relay.bounce_report import BounceReports
    from mailwake.relay.delivery import Outcome
    from mailwake.relay.schedule import RetrySchedule
    from mailwake.spool.contract import Spool, SpooledCopy


class Remainder:
    """Keeps what the next hop did not take, and records what becomes of it later."""

    def __init__(
        self,
        spool: Spool,
        schedule: RetrySchedule,
        preparation: Preparation,
        events: MessageEvents,
        reports: BounceReports,
        *,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self._spool = spool
        self._schedule = schedule
        self._preparation = preparation
        self._events = events
        self._reports = reports
        self._clock = clock
        self._log = log
        self._deferred = metrics.counter("spool_entries_total", "deferred")
        self._bounced = metrics.counter("spool_entries_total", "bounce")

    async def keep(self, message: PreparedMessage, outcomes: Sequence[Outcome]) -> None:
        """Spool what was not delivered, as itself or as a bounce; durable when this returns, or SpoolError."""
        now = self._clock.now()
        entries = []
        for index, outcome in enumerate(outcomes):
            if outcome.status is Status.DELIVERED:
                continue
            entry = self._entry(message, index, outcome, now)
            if outcome.status is Status.REFUSED:
                report = self._reports.entry(entry, outcome, now)
                if report is None:
                    self._log.warning(
                        "refused, and no sender to tell", recipient=entry.recipient, reply=str(outcome.reply)
                    )
                    continue
                entry = report
            entries.append(entry)
        if entries:
            await asyncio.to_thread(self._spool.put, entries)
        bounces = sum(entry.is_bounce for entry in entries)
        self._bounced.inc(bounces)
        self._deferred.inc(len(entries) - bounces)

    async def on_outcome(self, copy: SpooledCopy, outcome: Outcome, final: bool) -> None:  # noqa: FBT001  # RetryLoop's own signature
        """Record the event of a later attempt; reports of ours have no events."""
        if copy.is_bounce or not copy.event_facts:
            return
        if outcome.status is Status.DELIVERED:
            kind = EventType.DELIVERY
        else:
            kind = EventType.BOUNCE if final else EventType.DELAY
        queued = int((self._clock.now() - copy.queued_at) * 1000)
        result = event_outcome(outcome, attempts=copy.attempts + 1, queued_ms=max(queued, 0))
        facts, rcpt_type = split_copy_facts(copy.event_facts)
        index = int(copy.message_id[16:], 16)
        await self._events.record_attempt(kind, facts, copy.recipient, index, result, rcpt_type)

    def _entry(self, message: PreparedMessage, index: int, outcome: Outcome, now: float) -> NewEntry:
        copy = self._preparation.copy(message, index)
        # The schedule's end is days away when a copy is new, so there is always a next attempt.
        next_attempt = self._schedule.next_attempt(queued_at=now, attempts=1, now=now) or now
        return NewEntry(
            sender=copy.sender,
            recipient=copy.recipient,
            content=b"".join(copy.pieces),
            smtputf8=copy.smtputf8,
            body=copy.body,
            dsn=copy.dsn,
            route=copy.route,
            transmission_id=message.transmission_id,
            message_id=message.message_id(index),
            first_reply=str(outcome.reply),
            queued_at=now,
            next_attempt=next_attempt,
            event_facts=pack_copy_facts(message.copy_plans[index].packed_facts, message.rcpt_type(index)),
        )
