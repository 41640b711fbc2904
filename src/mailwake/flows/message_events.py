"""The events of a message: injection, and what the next hop said; written before the sender gets its 250."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mailwake.events.model import EventType
from mailwake.events.privacy import NO_PRIVACY
from mailwake.events.record import Outcome as EventOutcome
from mailwake.events.record import encode_message, is_anonymous
from mailwake.events.unique_ids import UniqueIdError
from mailwake.journal.frame import JournalError
from mailwake.relay.delivery import Status
from mailwake.spool.contract import NO_EVENTS, KeptEvents

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mailwake.clock import Clock
    from mailwake.events.privacy import EventPrivacy
    from mailwake.events.unique_ids import UniqueIds
    from mailwake.flows.prepared_message import PreparedMessage
    from mailwake.journal.writer import JournalWriter
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.relay.delivery import Outcome
    from mailwake.relay.settings import NextHopProtocol

EVENT_OF: dict[Status, EventType] = {
    Status.DELIVERED: EventType.DELIVERY,
    Status.REFUSED: EventType.BOUNCE,
    Status.DEFERRED: EventType.DELAY,
    Status.UNREACHABLE: EventType.DELAY,
    Status.UNCERTAIN: EventType.DELAY,
}
"""The event of each way an attempt can end."""


_METHODS: dict[NextHopProtocol, str] = {"smtp": "esmtp", "lmtp": "lmtp"}


class MessageEvents:
    """Records message events in the worker's journal. A journal that fails never holds up mail: it is counted."""

    def __init__(
        self,
        journal: JournalWriter,
        ids: UniqueIds,
        *,
        privacy: EventPrivacy = NO_PRIVACY,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self._privacy = privacy
        self._journal = journal
        self._ids = ids
        self._clock = clock
        self._log = log
        self._lost = metrics.counter("events_lost_total")
        self._counted = {kind: metrics.counter("events_total", kind.wire_name) for kind in EventType}

    async def record(self, message: PreparedMessage, outcomes: Sequence[Outcome], told: Collection[int] = ()) -> None:
        """Write an injection and an outcome event for every copy; durable when this returns, unless the disk failed.

        `told` are copies that were not taken and of which the sender is told by a reply: they leave none.
        """
        injected = int(message.sent * 1000)
        now = int(self._clock.now() * 1000)
        payloads: list[bytes] = []
        try:
            for index, outcome in enumerate(outcomes):
                if index in told:
                    continue
                recipient, rcpt_type = message.envelope.recipients[index], message.rcpt_type(index)
                facts = message.copy_plans[index].packed_facts
                payloads.append(self._encode(EventType.INJECTION, injected, facts, recipient, index, None, rcpt_type))
                result = event_outcome(outcome, attempts=1, queued_ms=max(now - injected, 0))
                kind = EVENT_OF[outcome.status]
                payloads.append(self._encode(kind, now, facts, recipient, index, result, rcpt_type))
        except UniqueIdError as error:
            self.not_recorded(2 * (len(outcomes) - len(told)) - len(payloads), error)
        await self._write(payloads)

    def injections(self, message: PreparedMessage) -> KeptEvents:
        """The injection events of all copies, to be kept with them in the spool; UniqueIdError when they have no id."""
        injected = int(message.sent * 1000)
        payloads = [
            self._encode(
                EventType.INJECTION,
                injected,
                message.copy_plans[index].packed_facts,
                recipient,
                index,
                None,
                message.rcpt_type(index),
            )
            for index, recipient in enumerate(message.envelope.recipients)
        ]
        return self._kept(payloads)

    def attempt(
        self,
        kind: EventType,
        packed_facts: bytes,
        recipient: str,
        index: int,
        outcome: EventOutcome,
        rcpt_type: str,
    ) -> KeptEvents:
        """The event of an attempt from the spool, to be kept there; none, and counted, when it can have no id."""
        try:
            now = int(self._clock.now() * 1000)
            return self._kept([self._encode(kind, now, packed_facts, recipient, index, outcome, rcpt_type)])
        except UniqueIdError as error:
            self.not_recorded(1, error)
            return NO_EVENTS

    def _kept(self, payloads: list[bytes]) -> KeptEvents:
        return KeptEvents(f"{self._ids.next():016x}", payloads)

    async def record_refusal(self, packed_facts: bytes, recipients: Sequence[str], outcome: EventOutcome) -> None:
        """Write that policy refused the message for these recipients."""
        payloads: list[bytes] = []
        now, kind = int(self._clock.now() * 1000), EventType.POLICY_REJECTION
        try:
            for index, recipient in enumerate(recipients):
                payloads.append(self._encode(kind, now, packed_facts, recipient, index, outcome))
        except UniqueIdError as error:
            self.not_recorded(len(recipients) - len(payloads), error)
        if payloads:
            await self._write(payloads)

    def _encode(
        self,
        kind: EventType,
        time_ms: int,
        facts: bytes,
        recipient: str,
        index: int,
        outcome: EventOutcome | None,
        rcpt_type: str = "",
    ) -> bytes:
        self._counted[kind].inc()
        if is_anonymous(facts):
            # Replies quote addresses, in more ways than could be looked for.
            recipient, outcome = "", outcome and replace(outcome, text="")
        elif self._privacy.recipients is not None:
            recipient = self._privacy.recipient(recipient)
            outcome = outcome and replace(outcome, text=self._privacy.reply(outcome.text))
        return encode_message(kind, self._ids.next(), time_ms, facts, recipient, index, rcpt_type, outcome)

    async def _write(self, payloads: list[bytes]) -> None:
        try:
            await self._journal.append_many(payloads)
        except JournalError as error:
            self.not_recorded(len(payloads), error)

    def not_recorded(self, events: int, error: Exception) -> None:
        """Count and tell that so many events are lost."""
        self._lost.inc(events)
        self._log.error("events lost: the journal cannot be written, look at the disk", events=events, error=str(error))


def event_outcome(outcome: Outcome, *, attempts: int, queued_ms: int) -> EventOutcome:
    """What a delivery, bounce or delay event says of an attempt."""
    return EventOutcome(
        code=outcome.reply.code,
        enhanced=outcome.reply.enhanced,
        text=outcome.reply.text,
        ip_address=_address(outcome.next_hop),
        num_retries=attempts - 1,
        queue_time=queued_ms,
        delv_method=_METHODS[outcome.protocol],
    )


@lru_cache(maxsize=64)
def _address(next_hop: str) -> str:
    # The next hop is "host:port", and the host may be a name; a Unix socket or a maildir has no address at all.
    host = next_hop.rpartition(":")[0].strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""
