"""The events of what policy refuses: one for each recipient that gets no copy (2-tracking §3, `policy_rejection`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.events.model import EventType
from mailwake.events.record import MessageFacts, Outcome, pack_facts
from mailwake.events.unique_ids import UniqueIdError
from mailwake.message.headers import fields, find
from mailwake.message.msys_header import HEADER_NAME, read_msys_header
from mailwake.message.summary import domain_of, summarise
from mailwake.policy.message_view import header_end
from mailwake.policy.precedence import EngagementLimits, EngagementSettings, resolve
from mailwake.smtp.replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.clock import Clock
    from mailwake.events.unique_ids import UniqueIds
    from mailwake.flows.message_events import MessageEvents
    from mailwake.listener.session import Session
    from mailwake.message.headers import Field
    from mailwake.message.msys_header import MsysHeader
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
        known_tags: Callable[[Sequence[str]], Sequence[str]],
        clock: Clock,
    ) -> None:
        self._events = events
        self._ids = ids
        self._limits = limits
        self._node_name = node_name
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
        header_fields = fields(content, 0, header_end(content))
        summary = summarise(content, header_fields)
        header, settings = self._settings(session, content, header_fields)
        variables = session.message_context.over(session.context)
        return MessageFacts(
            transmission_id=transmission_id,
            injection_time=int(self._clock.now() * 1000),
            msg_size=len(content),
            customer_id=variables.get("mo_customer_id") or "",
            campaign_id=settings.campaign_id.value or "" if settings else "",
            tags=settings.tags.value if settings else (),
            metadata=settings.metadata_text if settings else "",
            friendly_from=summary.friendly_from,
            msg_from=sender,
            sending_domain=summary.sending_domain or domain_of(sender),
            subject=summary.subject,
            open_tracking=settings is not None and settings.open_tracking.value,
            click_tracking=settings is not None and settings.click_tracking.value,
            initial_pixel=settings is not None and settings.open_tracking.value and settings.initial_open.value,
            transactional=header is not None and header.transactional is True,
            node_name=self._node_name,
            pathway=session.options_for(variables.get("pathway")).pathway.value or "",
        )

    def _settings(
        self, session: Session, content: bytes, header_fields: Sequence[Field]
    ) -> tuple[MsysHeader | None, EngagementSettings | None]:
        """What would have held for the message; None where its header or a variable cannot be read."""
        variables = session.message_context.over(session.context)
        options = session.options_for(variables.get("pathway"))
        try:
            ours = find(header_fields, HEADER_NAME)
            header = read_msys_header([content[each.value_start : each.value_end] for each in ours])
            return header, resolve(variables, header, options, self._limits, self._known_tags)
        except Refusal:
            return None, None
