"""What is left of a message of which some copies were taken: deferred copies wait in the spool, refused ones bounce."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.flows.spool_entry import spool_entry
from mailwake.relay.delivery import Status
from mailwake.relay.status_report import may_be_told
from mailwake.spool.steady_time import Moment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mailwake.clock import Clock
    from mailwake.flows.preparation import Preparation
    from mailwake.flows.prepared_message import PreparedMessage
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.relay.delivery import Outcome
    from mailwake.relay.schedule import RetrySchedule
    from mailwake.relay.status_report import StatusReports
    from mailwake.spool.contract import NewEntry
    from mailwake.spool.group_commit import GroupCommit


class Remainder:
    """Keeps what the next hop did not take, and what the sender is to be told."""

    def __init__(
        self,
        spool: GroupCommit,
        schedule: RetrySchedule,
        preparation: Preparation,
        reports: StatusReports,
        *,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self._front = spool
        self._spool = spool.spool
        self._schedule = schedule
        self._preparation = preparation
        self._reports = reports
        self._clock = clock
        self._log = log
        self._deferred = metrics.counter("spool_entries_total", "deferred")
        self._bounced = metrics.counter("spool_entries_total", "bounce")
        self._told = metrics.counter("spool_entries_total", "report")
        self._dropped = metrics.counter("spool_reports_dropped_total")

    async def keep(self, message: PreparedMessage, outcomes: Sequence[Outcome], told: Collection[int] = ()) -> None:
        """Spool what was not delivered, and reports; durable when this returns, or SpoolError.

        `told` are those of which the sender is told by a reply of their own: nothing is kept of them.
        """
        if not message.envelope.requests and all(outcome.status is Status.DELIVERED for outcome in outcomes):
            return
        moment = Moment(self._spool.now(), self._clock.now())
        entries = []
        bounces = reports = 0
        for index, outcome in enumerate(outcomes):
            if index in told:
                continue
            if outcome.status is Status.DELIVERED:
                entry = self._success(message, index, outcome, moment)
                reports += entry is not None
            elif outcome.status is Status.REFUSED:
                entry = self._bounce(message, index, outcome, moment)
                bounces += entry is not None
            else:
                entry = self._entry(message, index, outcome, moment)
            if entry is not None:
                entries.append(entry)
        if entries:
            await self._front.run(lambda: self._spool.put(entries))
        self._bounced.inc(bounces)
        self._told.inc(reports)
        self._deferred.inc(len(entries) - bounces - reports)

    def _success(self, message: PreparedMessage, index: int, outcome: Outcome, moment: Moment) -> NewEntry | None:
        """The report that a sender asked for with NOTIFY=SUCCESS; hardly anybody does, so the copy is not made anew."""
        asked = message.envelope.dsn_request(message.envelope.recipients[index])
        if not asked.on_success or outcome.dsn_passed:
            return None
        return self._reports.relayed(self._entry(message, index, outcome, moment), outcome, moment)

    def _bounce(self, message: PreparedMessage, index: int, outcome: Outcome, moment: Moment) -> NewEntry | None:
        entry = self._entry(message, index, outcome, moment)
        report = self._reports.failed(entry, outcome, moment)
        if report is None:
            if not may_be_told(entry):
                self._dropped.inc()
            self._log.warning(
                "refused, and no sender to tell",
                transmission=message.transmission_id,
                recipient=entry.recipient,
                reply=str(outcome.reply),
            )
        return report

    def _entry(self, message: PreparedMessage, index: int, outcome: Outcome, moment: Moment) -> NewEntry:
        # The schedule's end is days away when a copy is new, so there is always a next attempt.
        now = moment.steady
        next_attempt = self._schedule.next_attempt(queued_at=now, attempts=1, now=now) or now
        return spool_entry(
            self._preparation,
            message,
            index,
            now=now,
            next_attempt=next_attempt,
            first_reply=str(outcome.reply),
            attempts=1,
        )
