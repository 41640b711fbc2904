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
from mailwake.flows.message_log import MessageLog
from mailwake.flows.message_policy import PolicyRefusal
from mailwake.flows.remainder import Remainder
from mailwake.relay.delivery import Outcome, Status
from mailwake.smtp.replies import Refusal, Reply
from mailwake.spool.contract import SpoolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.clock import Clock
    from mailwake.flows.answers import Answering
    from mailwake.flows.message_log import Progress
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
        self._lines = MessageLog(log, clock)

    async def receive(self, session: Session, envelope: Envelope, content: bytes) -> Answer:
        """Relay the message and answer for it; a refusal relays nothing, and leaves an event only if it is policy's."""
        progress = self._lines.begin(session)
        try:
            return await self._receive(session, envelope, content, progress)
        finally:
            self._seconds.observe(self._clock.monotonic() - progress.received)

    async def _receive(self, session: Session, envelope: Envelope, content: bytes, progress: Progress) -> Answer:
        try:
            transmission_id = progress.transmission_id = self._preparation.new_id()
            judged = await self._policy.judge(session, envelope, content, transmission_id)
            answering = _answering(session, envelope, judged)
            if judged is not None and (judged.discarded or judged.refused):
                self._left_out(session, envelope, judged, progress)
                await self._rejected(session, envelope, content, transmission_id, judged)
                if not judged.recipients:
                    answer: Answer = answering.answer(transmission_id, [])
                    self._nobody_left(session, envelope, content, answer, progress)
                    return answer
            message = self._preparation.prepare(session, envelope, content, judged, transmission_id)
            progress.decided = self._clock.monotonic()
        except Refusal as refusal:
            self._refused(session, envelope, content, refusal.reply, refusal.log, progress)
            if isinstance(refusal, PolicyRefusal):
                await self._rejections.of_message(session, envelope, content, transmission_id, refusal.reply)
            return refusal.reply
        except UniqueIdError as error:
            self._refused(session, envelope, content, NO_UNIQUE_ID, str(error), progress)
            return NO_UNIQUE_ID
        if self._acceptance is not None:
            outcomes: list[Outcome] = []
            answer = answering.for_all(await self._take(message, self._acceptance))
            progress.relayed = self._clock.monotonic()
        else:
            outcomes = await self._deliver_all(message, progress)
            progress.relayed = self._clock.monotonic()
            answer = await self._settle(message, outcomes, answering)
        self._count(answer)
        self._lines.relayed(session, message, content, outcomes, answer, progress)
        return answer

    async def _take(self, message: PreparedMessage, acceptance: SpoolAcceptance) -> Reply:
        """The reply for a message that is taken into the spool, or not; in that case nothing of it is kept."""
        try:
            await acceptance.take(message)
        except SpoolError as error:
            self._log.error("the spool cannot take a message", transmission=message.transmission_id, error=str(error))
            return NO_STORAGE
        except UniqueIdError as error:
            self._log.error("a message cannot have events", transmission=message.transmission_id, error=str(error))
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
                transmission = message.transmission_id
                self._log.error(
                    "the spool cannot take the rest of a message", transmission=transmission, error=str(error)
                )
                return answering.for_all(NO_STORAGE)
            await self._events.record(message, outcomes, told)
        return answering.answer(message.transmission_id, outcomes)

    def _count(self, answer: Answer) -> None:
        result = "accepted" if answer.is_positive else "deferred" if answer.code < 500 else "refused"
        self._metrics.counter("messages_total", result).inc()

    async def _deliver_all(self, message: PreparedMessage, progress: Progress) -> list[Outcome]:
        recipients = len(message.envelope.recipients)
        if recipients == 1:
            return [await self._deliver(message, 0, progress)]
        return await self._deliver_several(message, recipients, progress)

    async def _deliver(self, message: PreparedMessage, index: int, progress: Progress) -> Outcome:
        copy = self._preparation.copy(message, index)
        self._lines.sending(progress, copy)
        return await self._delivery.deliver(copy)

    async def _deliver_several(self, message: PreparedMessage, recipients: int, progress: Progress) -> list[Outcome]:
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
                outcome = await self._deliver(message, index, progress)
                outcomes[index] = outcome
                if outcome.status is Status.UNREACHABLE:
                    stopped[message.route(index)] = outcome  # the others would only wait for the same time-out

        indices = iter(range(recipients))
        await asyncio.gather(*(send(indices) for _ in range(min(recipients, COPIES_AT_ONCE))))
        late = Outcome(Status.DEFERRED, _NOT_IN_TIME, "", "connect")
        return [outcome or stopped.get(message.route(index), late) for index, outcome in enumerate(outcomes)]

    def _refused(
        self, session: Session, envelope: Envelope, content: bytes, reply: Reply, reason: str, progress: Progress
    ) -> None:
        self._count(reply)
        self._lines.refused(session, envelope, content, reply, reason, progress)

    async def _rejected(
        self, session: Session, envelope: Envelope, content: bytes, transmission_id: int, judged: Judged
    ) -> None:
        for index, reply in judged.refused.items():
            alone = replace(envelope, recipients=[envelope.recipients[index]])
            await self._rejections.of_message(session, alone, content, transmission_id, reply)

    def _left_out(self, session: Session, envelope: Envelope, judged: Judged, progress: Progress) -> None:
        self._metrics.counter("copies_discarded_total").inc(len(judged.discarded))
        for address, reason in judged.discarded:
            self._lines.left_out(session, envelope, address, reason, progress, refused=False)
        for index, reply in judged.refused.items():
            self._lines.left_out(session, envelope, envelope.recipients[index], str(reply), progress, refused=True)

    def _nobody_left(
        self, session: Session, envelope: Envelope, content: bytes, answer: Answer, progress: Progress
    ) -> None:
        if answer.is_positive:
            self._metrics.counter("messages_total", "discarded").inc()
        else:
            self._count(answer)
        self._lines.nobody_left(session, envelope, content, answer, progress)


def _answering(session: Session, envelope: Envelope, judged: Judged | None) -> Answering:
    if not session.lmtp:
        return OneReply()
    if judged is None:
        return ReplyForEach(range(len(envelope.recipients)))
    wanted = enumerate(judged.places)
    places = [judged.refused.get(i, DISCARDED) if place < 0 else place for i, place in wanted]
    return ReplyForEach(places, adds=any(each.rcpt_type for each in judged.recipients))
