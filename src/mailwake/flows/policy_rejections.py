"""The events of what policy refuses: one for each recipient that gets no copy (2-tracking §3, `policy_rejection`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.events.model import EventType
from mailwake.events.privacy import NO_PRIVACY
from mailwake.events.record import Outcome, pack_facts
from mailwake.events.unique_ids import UniqueIdError
from mailwake.flows.message_facts import message_facts
from mailwake.message.headers import fields, find
from mailwake.message.msys_header import HEADER_NAME, read_msys_header
from mailwake.message.summary import summarise
from mailwake.policy.message_view import header_end
from mailwake.policy.precedence import EngagementLimits, resolve
from mailwake.smtp.replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.clock import Clock
    from mailwake.events.privacy import EventPrivacy
    from mailwake.events.record import MessageFacts
    from mailwake.events.unique_ids import UniqueIds
    from mailwake.flows.message_events import MessageEvents
    from mailwake.listener.session import Session
    from mailwake.smtp.envelope import Envelope
    from mailwake.smtp.replies import Reply

POLICY_REJECTION = EventType.POLICY_REJECTION


class PolicyRejections:
    """Records what policy refused for good; what it refused for now comes again, and leaves no event.

    Where no recipient is known yet (the phases before RCPT), and for messages refused by rules of our own, there is
    none either (1-injection §3). `known_tags` says which of some tags the whole system knows, and makes none known.
    """

    def __init__(
        self,
        events: MessageEvents,
        ids: UniqueIds,
        *,
        limits: EngagementLimits,
        node_name: str,
        privacy: EventPrivacy = NO_PRIVACY,
        known_tags: Callable[[Sequence[str]], Sequence[str]],
        clock: Clock,
    ) -> None:
        self._events = events
        self._ids = ids
        self._limits = limits
        self._node_name = node_name
        self._privacy = privacy
        self._known_tags = known_tags
        self._clock = clock

    async def of_message(
        self, session: Session, envelope: Envelope, content: bytes, transmission_id: int, reply: Reply
    ) -> None:
        """The message has come, and is refused for all its recipients."""
        if reply.is_permanent:
            await self._record(session, envelope.sender, envelope.recipients, content, transmission_id, reply)

    async def of_recipient(self, session: Session, envelope: Envelope, recipient: str, reply: Reply) -> None:
        """A recipient is refused at RCPT: the event has a transmission id of its own."""
        if not reply.is_permanent:
            return
        try:
            number = self._ids.next()
        except UniqueIdError as error:
            self._events.not_recorded(1, error)
            return
        await self._record(session, envelope.sender, [recipient], b"", number, reply)

    async def _record(
        self,
        session: Session,
        sender: str,
        recipients: Sequence[str],
        content: bytes,
        transmission_id: int,
        reply: Reply,
    ) -> None:
        facts = self._facts(session, sender, content, transmission_id)
        outcome = Outcome(reply.code, reply.enhanced, reply.text, delv_method="")
        await self._events.record_refusal(pack_facts(facts), recipients, outcome)

    def _facts(self, session: Session, sender: str, content: bytes, transmission_id: int) -> MessageFacts:
        variables = session.message_context.over(session.context)
        options = session.options_for(variables.get("pathway"))
        header_fields = fields(content, 0, header_end(content))
        try:
            ours = find(header_fields, HEADER_NAME)
            header = read_msys_header([content[each.value_start : each.value_end] for each in ours])
            settings = resolve(variables, header, options, self._limits, self._known_tags)
        except Refusal:
            header = settings = None
        return message_facts(
            transmission_id=transmission_id,
            now=self._clock.now(),
            content=content,
            sender=sender,
            privacy=self._privacy,
            summary=summarise(content, header_fields),
            header=header,
            settings=settings,
            customer_id=variables.get("mo_customer_id") or "",
            pathway=options.pathway.value or "",
            node_name=self._node_name,
        )
