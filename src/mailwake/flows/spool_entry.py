"""A copy of a prepared message as an entry of the spool, and the facts of an entry as events have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.events.model import EventType
from mailwake.events.record import pack_copy_facts, split_copy_facts
from mailwake.flows.message_events import event_outcome
from mailwake.relay.delivery import Status
from mailwake.spool.contract import NO_EVENTS, KeptEvents, NewEntry

if TYPE_CHECKING:
    from mailwake.flows.event_outbox import EventOutbox
    from mailwake.flows.message_events import MessageEvents
    from mailwake.flows.preparation import Preparation
    from mailwake.flows.prepared_message import PreparedMessage
    from mailwake.relay.delivery import Outcome
    from mailwake.spool.contract import Spool, SpooledCopy


def spool_entry(
    preparation: Preparation,
    message: PreparedMessage,
    index: int,
    *,
    now: float,
    next_attempt: float,
    first_reply: str = "",
    attempts: int = 0,
) -> NewEntry:
    """The entry of the copy for the recipient with this index."""
    copy = preparation.copy(message, index)
    plan = message.copy_plans[index]
    return NewEntry(
        sender=copy.sender,
        recipient=copy.recipient,
        content=b"",
        pieces=copy.pieces,
        smtputf8=copy.smtputf8,
        body=copy.body,
        dsn=copy.dsn,
        route=copy.route,
        customer=plan.settings.customer_id.value or "",
        transmission_id=message.transmission_id,
        message_id=message.message_id(index),
        first_reply=first_reply,
        queued_at=now,
        next_attempt=next_attempt,
        attempts=attempts,
        event_facts=pack_copy_facts(plan.packed_facts, message.rcpt_type(index)),
    )


class EntryEvents:
    """The events of attempts from the spool; reports of ours have none."""

    def __init__(self, spool: Spool, events: MessageEvents, outbox: EventOutbox) -> None:
        self._spool = spool
        self._events = events
        self._outbox = outbox

    def of_attempt(self, copy: SpooledCopy, outcome: Outcome, *, final: bool) -> KeptEvents:
        """The delivery, bounce or delay event of an attempt."""
        if copy.is_report or not copy.event_facts:
            return NO_EVENTS
        if outcome.status is Status.DELIVERED:
            kind = EventType.DELIVERY
        else:
            kind = EventType.BOUNCE if final else EventType.DELAY
        queued = int((self._spool.now() - copy.queued_at) * 1000)
        result = event_outcome(outcome, attempts=copy.attempts + 1, queued_ms=max(queued, 0))
        facts, rcpt_type = split_copy_facts(copy.event_facts)
        index = int(copy.message_id[16:], 16)
        return self._events.attempt(kind, facts, copy.recipient, index, result, rcpt_type)

    async def publish(self, events: KeptEvents) -> None:
        """Write kept events to the journal."""
        await self._outbox.publish(events)
