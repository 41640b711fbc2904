"""What policy says of a message and of each of its recipients, before anything is prepared (3-policy, Phases)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from mailwake.flows.added_recipients import Addressee, Addressees, addressees
from mailwake.policy.context import Context
from mailwake.policy.message_view import Message
from mailwake.policy.phases import Phase
from mailwake.policy.validation import Question, ValidationContext
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.listener.session import Session
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import Policies
    from mailwake.smtp.envelope import Envelope


class PolicyRefusal(Refusal):
    """Policy refused the message."""


class Recipient(NamedTuple):
    """One recipient after policy: the context variables that hold for it, and its copy of the message."""

    address: str
    context: Context
    """The message's variables for this recipient."""
    content: bytes
    rcpt_type: str = ""
    added_fields: bytes = b""
    links_of: int = -1
    """The place among the recipients of the one whose links its copy carries; -1: its own."""


class Judged(NamedTuple):
    """A message that policy let pass, with everybody who gets a copy."""

    recipients: Sequence[Recipient]
    """Those whose copy policy did not throw away."""
    discarded: Sequence[tuple[str, str]] = ()
    """The others, with the reason."""
    cc_field: bytes = b""
    """The Cc field of every copy, where the header adds to it; empty: the message's own stays."""
    places: Sequence[int] = ()
    """For each RCPT of the client the place of its copy among the recipients; -1: policy wants none."""
    refused: Mapping[int, Reply] = MappingProxyType({})
    """In LMTP: for which RCPT policy refused the message, and how."""


class MessagePolicy:
    """Asks policy about messages that have come; without policies it costs next to nothing."""

    def __init__(self, policies: Policies, *, metrics: Metrics) -> None:
        self._policies = policies
        self._metrics = metrics
        self._once = tuple(phase for phase in (Phase.DATA, Phase.DATA_SPOOL) if policies.has(phase))
        self._each = policies.has(Phase.EACH_RCPT)

    async def judge(self, session: Session, envelope: Envelope, content: bytes, transmission_id: int) -> Judged | None:
        """What policy and the header's lists made of the message; None when they had nothing to say. Raises Refusal.

        A refusal for one recipient refuses the message, since SMTP has one reply for all of them; in LMTP, which has a
        reply for each that the client named, only this recipient's copy.
        """
        if self._once:
            message = self._view(session, envelope, content, transmission_id)
            for phase in self._once:
                await self._ask(phase, session, session.message_context, message)
            if message.discarded:
                discarded = [(address, message.discarded) for address in envelope.recipients]
                return Judged((), discarded, places=[-1] * len(discarded))
            content = message.content
        found = addressees(envelope, content)
        if found is None:
            if not (self._once or self._each or session.message_context):
                return None
            found = Addressees([Addressee(address) for address in envelope.recipients], b"")
        return await self._judge_each(session, envelope, content, transmission_id, found)

    async def _judge_each(
        self, session: Session, envelope: Envelope, content: bytes, transmission_id: int, found: Addressees
    ) -> Judged:
        kept: list[Recipient] = []
        discarded: list[tuple[str, str]] = []
        refused: dict[int, Reply] = {}
        places: list[int] = []  # of each addressee among those kept, -1 for one whose copy was thrown away
        for each in found.all:
            places.append(len(kept))
            if each.links_of >= 0:  # an archive copy is the original's in all but the address
                original = places[each.links_of]
                if original < 0:
                    places[-1] = -1
                else:
                    of_original = kept[original]
                    kept.append(of_original._replace(address=each.address, rcpt_type="archive", links_of=original))
                continue
            context, copy = session.message_context, content
            if self._each:
                context = session.message_context.copy()
                message = self._view(session, envelope, content, transmission_id, each.address)
                try:
                    await self._ask(Phase.EACH_RCPT, session, context, message)
                except PolicyRefusal as refusal:
                    if not session.lmtp or each.rcpt_type:
                        raise
                    refused[len(places) - 1] = refusal.reply
                    places[-1] = -1
                    continue
                if message.discarded:
                    places[-1] = -1
                    discarded.append((each.address, message.discarded))
                    continue
                copy = message.content
            kept.append(Recipient(each.address, context, copy, each.rcpt_type, each.added_fields))
        return Judged(kept, discarded, found.cc_field, places[: len(envelope.recipients)], refused)

    async def _ask(self, phase: Phase, session: Session, context: Context, message: Message) -> None:
        validation = ValidationContext(session.context, context, tracing=session.tracing)
        answer = self._policies.ask(Question(phase, validation, session.accept(), message))
        reply: Reply | None = await answer if inspect.isawaitable(answer) else answer
        if validation.disconnecting:
            session.disconnecting = True
        if reply is not None:
            self._metrics.counter("policy_refusals_total", phase).inc()
            raise PolicyRefusal(reply, f"policy in {phase}: {reply}")

    def _view(
        self, session: Session, envelope: Envelope, content: bytes, transmission_id: int, recipient: str = ""
    ) -> Message:
        return Message(
            sender=envelope.sender,
            recipients=envelope.recipients,
            recipient=recipient,
            content=content,
            message_id=str(transmission_id),
            peer=f"{session.peer_address}:{session.peer_port}",
            listener=session.listener,
        )
