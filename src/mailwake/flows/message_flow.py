"""The way of a message: prepared, a copy for each recipient handed to the next hop, what is left spooled, answered.

The sender gets its 250 only after the next hop has taken a copy, and after everything that the 250 promises beyond that
(the spooled rest, the events) is durable; or, where the operator has chosen so, when all copies are in the spool.
docs/architecture.md has the table of the cases.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from mailwake.events.unique_ids import UniqueIdError
from mailwake.flows.answers import DISCARDED, OneReply, ReplyForEach, spooled
from mailwake.flows.message_events import MessageEvents
from mailwake.flows.message_policy import PolicyRefusal
from mailwake.flows.remainder import Remainder
from mailwake.relay.delivery import Outcome, Status
from mailwake.smtp.replies import Refusal, Reply
from mailwake.spool.contract import SpoolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailwake.clock import Clock
    from mailwake.flows.answers import Answering
    from mailwake.flows.message_policy import Judged, MessagePolicy
    from mailwake.flows.policy_rejections import PolicyRejections
    from mailwake.flows.preparation import Preparation
    from mailwake.flows.prepared_message import PreparedMessage
    from mailwake.flows.spool_acceptance import SpoolAcceptance
    from mailwake.listener.session import Session
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.relay.delivery import Delivery
    from mailwake.smtp.envelope import Envelope
    from mailwake.smtp.server_events import Answer

COPIES_AT_ONCE = 8
"""Copies of one message that are sent at the same time, so that one message cannot take the whole pool."""

RELAY_SECONDS = 240.0
"""How long copies of a message are started; the rest is spooled. Senders wait ten minutes (RFC 5321 §4.5.3.2.6)."""

NO_UNIQUE_ID = Reply(421, "4.3.3", "[internal] smtpapi unable to generate unique transmission id")
"""The refusal of a message that can have no transmission id (1-injection §3)."""

_NOT_IN_TIME = Reply(451, "4.4.7", "The next hop is too slow for so many recipients, try again later")
NO_STORAGE = Reply(452, "4.3.1", "Insufficient system storage, try again later")


class MessageFlow:
    """Receives messages for one worker; it is the listener's MessageReceiver.

    With `acceptance` messages are taken at once and relayed from the spool; without, relayed before they are answered.
    """

    def __init__(
        self,
        preparation: Preparation,
        delivery: Delivery,
        remainder: Remainder,
        events: MessageEvents,
        *,
        policy: MessagePolicy,
        rejections: PolicyRejections,
        acceptance: SpoolAcceptance | None = None,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self._acceptance = acceptance
        self._policy = policy
        self._rejections = rejections
        self._preparation = preparation
        self._delivery = delivery
        self._remainder = remainder
        self._events = events
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._seconds = metrics.histogram("message_seconds")

    async def receive(self, session: Session, envelope: Envelope, content: bytes) -> Answer:
        """Relay the message and answer for it; a refusal relays nothing, and leaves an event only if it is policy's."""
        began = self._clock.monotonic()
        try:
            return await self._receive(session, envelope, content, began)
        finally:
            self._seconds.observe(self._clock.monotonic() - began)

    async def _receive(self, session: Session, envelope: Envelope, content: bytes, began: float) -> Answer:
        try:
            transmission_id = self._preparation.new_id()
            judged = await self._policy.judge(session, envelope, content, transmission_id)
            answering = _answering(session, envelope, judged)
            if judged is not None and (judged.discarded or judged.refused):
                self._left_out(session, envelope, judged)
                await self._rejected(session, envelope, content, transmission_id, judged)
                if not judged.recipients:
                    return answering.answer(transmission_id, [])
            message = self._preparation.prepare(session, envelope, content, judged, transmission_id)
        except Refusal as refusal:
            self._refused(session, envelope, content, refusal.reply, refusal.log, "refused")
            if isinstance(refusal, PolicyRefusal):
                await self._rejections.of_message(session, envelope, content, transmission_id, refusal.reply)
            return refusal.reply
        except UniqueIdError as error:
            self._refused(session, envelope, content, NO_UNIQUE_ID, str(error), "deferred")
            return NO_UNIQUE_ID
        if self._acceptance is not None:
            outcomes: list[Outcome] = []
            answer: Answer = await self._take(message, self._acceptance)
        else:
            outcomes = await self._deliver_all(message)
            answer = await self._settle(message, outcomes, answering)
        self._count(answer)
        self._log_message(session, message, outcomes, answer, began)
        return answer

    async def _take(self, message: PreparedMessage, acceptance: SpoolAcceptance) -> Reply:
        """The reply for a message that is taken into the spool, or not; in that case nothing of it is kept."""
        try:
            await acceptance.take(message)
        except SpoolError as error:
            self._log.error("the spool cannot take a message", error=str(error))
            return NO_STORAGE
        except UniqueIdError as error:
            self._log.error("a message cannot have events", error=str(error))
            return NO_UNIQUE_ID
        return spooled(message.transmission_id)

    async def _settle(self, message: PreparedMessage, outcomes: list[Outcome], answering: Answering) -> Answer:
        """The answer for these outcomes, after everything that it promises is durable."""
        told = answering.told(outcomes)
        if len(told) < len(outcomes):
            try:
                await self._remainder.keep(message, outcomes, told)
            except SpoolError as error:
                # The sender will repeat what was taken: a duplicate, where the alternative is a loss.
                self._log.error("the spool cannot take the rest of a message", error=str(error))
                return NO_STORAGE
            await self._events.record(message, outcomes, told)
        return answering.answer(message.transmission_id, outcomes)

    def _count(self, answer: Answer) -> None:
        result = "accepted" if answer.is_positive else "deferred" if answer.code < 500 else "refused"
        self._metrics.counter("messages_total", result).inc()

    async def _deliver_all(self, message: PreparedMessage) -> list[Outcome]:
        recipients = len(message.envelope.recipients)
        if recipients == 1:
            return [await self._delivery.deliver(self._preparation.copy(message, 0))]
        return await self._deliver_several(message, recipients)

    async def _deliver_several(self, message: PreparedMessage, recipients: int) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * recipients
        deadline = self._clock.monotonic() + RELAY_SECONDS
        stopped: dict[str, Outcome] = {}

        async def send(indices: Iterator[int]) -> None:
            for index in indices:
                if self._clock.monotonic() > deadline:
                    return
                if message.route(index) in stopped:
                    continue
                # A copy is made only when its turn has come: a thousand of them at once would fill the memory.
                outcome = await self._delivery.deliver(self._preparation.copy(message, index))
                outcomes[index] = outcome
                if outcome.status is Status.UNREACHABLE:
                    stopped[message.route(index)] = outcome  # the others would only wait for the same time-out

        indices = iter(range(recipients))
        await asyncio.gather(*(send(indices) for _ in range(min(recipients, COPIES_AT_ONCE))))
        late = Outcome(Status.DEFERRED, _NOT_IN_TIME, "", "connect")
        return [outcome or stopped.get(message.route(index), late) for index, outcome in enumerate(outcomes)]

    def _refused(
        self, session: Session, envelope: Envelope, content: bytes, reply: Reply, reason: str, result: str
    ) -> None:
        self._metrics.counter("messages_total", result).inc()
        self._log.warning(
            "message refused",
            peer=session.peer_address,
            customer=session.context.get("mo_customer_id") or "",
            sender=envelope.sender,
            recipients=len(envelope.recipients),
            size=len(content),
            reply=str(reply),
            reason=reason,
        )

    async def _rejected(
        self, session: Session, envelope: Envelope, content: bytes, transmission_id: int, judged: Judged
    ) -> None:
        for index, reply in judged.refused.items():
            alone = replace(envelope, recipients=[envelope.recipients[index]])
            await self._rejections.of_message(session, alone, content, transmission_id, reply)

    def _left_out(self, session: Session, envelope: Envelope, judged: Judged) -> None:
        self._metrics.counter("copies_discarded_total").inc(len(judged.discarded))
        refused = [(envelope.recipients[index], str(reply)) for index, reply in judged.refused.items()]
        for what, copies in (("copy discarded by policy", judged.discarded), ("copy refused by policy", refused)):
            for address, reason in copies:
                self._log.info(
                    what, peer=session.peer_address, sender=envelope.sender, recipient=address, reason=reason
                )

    def _log_message(
        self, session: Session, message: PreparedMessage, outcomes: list[Outcome], answer: Answer, began: float
    ) -> None:
        plan = message.copy_plans[0]
        first = outcomes[0] if outcomes else None
        self._log.info(
            "message",
            transmission=message.transmission_id,
            peer=session.peer_address,
            customer=plan.settings.customer_id.value or "",
            campaign=plan.settings.campaign_id.value or "",
            sender=message.envelope.sender,
            recipients=len(message.envelope.recipients),
            size=len(plan.content),
            links=plan.tracked_links,
            signed=", ".join(plan.signed_by),
            next_hop=first.next_hop if first else "",
            outcome=_in_a_word(outcomes),
            next_hop_reply=str(first.reply) if first else "",
            reply=answer.code,
            ms=round((self._clock.monotonic() - began) * 1000, 1),
        )


def _in_a_word(outcomes: Sequence[Outcome]) -> str:
    """What became of the copies, for the log."""
    statuses = {outcome.status for outcome in outcomes}
    if not statuses:
        return "spooled"
    return statuses.pop().value if len(statuses) == 1 else "mixed"


def _answering(session: Session, envelope: Envelope, judged: Judged | None) -> Answering:
    if not session.lmtp:
        return OneReply()
    if judged is None:
        return ReplyForEach(range(len(envelope.recipients)))
    wanted = enumerate(judged.places)
    return ReplyForEach([judged.refused.get(i, DISCARDED) if place < 0 else place for i, place in wanted])
