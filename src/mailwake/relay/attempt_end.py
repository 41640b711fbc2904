"""What the end of an attempt means for a spooled copy: gone, another attempt, a report to its sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mailwake.relay.delivery import Status
from mailwake.relay.status_report import may_be_told
from mailwake.spool.contract import Settlement

if TYPE_CHECKING:
    from mailwake.relay.delivery import Outcome
    from mailwake.relay.schedule import RetrySchedule
    from mailwake.relay.status_report import StatusReports
    from mailwake.spool.contract import KeptEvents, NewEntry, SpooledCopy
    from mailwake.spool.steady_time import Moment


class AttemptEvents(Protocol):
    """Who makes the events of attempts, and brings them to where they are read."""

    def of_attempt(self, copy: SpooledCopy, outcome: Outcome, *, final: bool) -> KeptEvents:
        """The events of an attempt; `final` when there will be no other."""
        ...

    async def publish(self, events: KeptEvents) -> None:
        """Write events that the spool keeps to the journal; trouble is theirs to tell, and never raised."""
        ...


class AttemptEnd(NamedTuple):
    """What is to be done, and the word for it in logs and counters."""

    result: str
    settlement: Settlement


class AttemptEnds:
    """Decides; `delay_report` is after how many seconds a sender is told that a copy is late, 0 for never."""

    def __init__(
        self, schedule: RetrySchedule, reports: StatusReports, events: AttemptEvents, *, delay_report: float = 0.0
    ) -> None:
        self._schedule = schedule
        self._reports = reports
        self._events = events
        self._delay_report = delay_report

    @property
    def expiry(self) -> float:
        """After how many seconds a copy is given up."""
        return self._schedule.expiry

    def decide(self, copy: SpooledCopy, outcome: Outcome, moment: Moment) -> AttemptEnd:
        """What follows from this outcome of an attempt that has just ended."""
        if outcome.status is Status.DELIVERED:
            told = self._reports.relayed(copy, outcome, moment)
            events = self._events.of_attempt(copy, outcome, final=True)
            settlement = Settlement(entry_id=copy.id, fate="taken", reports=_some(told), events=events)
            return AttemptEnd("delivered", settlement)
        attempts = copy.attempts + 1
        next_attempt = self._schedule.next_attempt(queued_at=copy.queued_at, attempts=attempts, now=moment.steady)
        if outcome.status is Status.REFUSED or next_attempt is None:
            return self._failed(copy, outcome, moment)
        late = self._late(copy, outcome, moment)
        settlement = Settlement(
            entry_id=copy.id,
            fate="deferred",
            next_attempt=next_attempt,
            reply_text=str(outcome.reply),
            attempts=attempts,
            delay_told=copy.delay_told or late is not None,
            reports=_some(late),
            events=self._events.of_attempt(copy, outcome, final=False),
        )
        return AttemptEnd(outcome.status.value, settlement)

    def _failed(self, copy: SpooledCopy, outcome: Outcome, moment: Moment) -> AttemptEnd:
        events = self._events.of_attempt(copy, outcome, final=True)
        report = self._reports.failed(copy, outcome, moment)
        settlement = Settlement(entry_id=copy.id, fate="failed", reports=_some(report), events=events)
        if report is not None:
            return AttemptEnd("bounced", settlement)
        # Either the sender wants to hear nothing (NOTIFY), or there is nobody to tell (RFC 5321 §6.1).
        return AttemptEnd("untold" if may_be_told(copy) else "dropped", settlement)

    def _late(self, copy: SpooledCopy, outcome: Outcome, moment: Moment) -> NewEntry | None:
        if not self._delay_report or copy.delay_told or moment.steady - copy.queued_at < self._delay_report:
            return None
        return self._reports.delayed(copy, outcome, moment, copy.queued_at + self._schedule.expiry)


def _some(report: NewEntry | None) -> tuple[NewEntry, ...]:
    return () if report is None else (report,)
