"""What policy says of a message and of each of its recipients, before anything is prepared (3-policy, Phases)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, NamedTuple

from mailwake.policy.context import Context
from mailwake.policy.message_view import Message
from mailwake.policy.phases import Phase
from mailwake.policy.validation import Question, ValidationContext
from mailwake.smtp.replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.listener.session import Session
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import Policies
    from mailwake.smtp.envelope import Envelope
    from mailwake.smtp.replies import Reply


class Recipient(NamedTuple):
    """One recipient after policy: the context variables that hold for it, and its copy of the message."""

    address: str
    context: Context
    """The message's variables for this recipient."""
    content: bytes


class Judged(NamedTuple):
    """A message that policy let pass."""

    recipients: Sequence[Recipient]
    """Those whose copy policy did not throw away."""
    discarded: Sequence[tuple[str, str]]
    """The others, with the reason."""


class MessagePolicy:
    """Asks policy about messages that have come; without policies it costs nothing."""

    def __init__(self, policies: Policies, *, metrics: Metrics) -> None:
        self._policies = policies
        self._metrics = metrics
        self._once = tuple(phase for phase in (Phase.DATA, Phase.DATA_SPOOL) if policies.has(phase))
        self._each = policies.has(Phase.EACH_RCPT)

    async def judge(self, session: Session, envelope: Envelope, content: bytes) -> Judged | None:
        """What policy made of the message; None when nobody had anything to say. Raises Refusal.

        A refusal for one recipient refuses the message: SMTP has one reply for all of them.
        """
        if not (self._once or self._each or session.message_context):
            return None
        message = self._view(session, envelope, content)
        for phase in self._once:
            if phase is Phase.DATA and session.data_phase_done:
                continue
            await self._ask(phase, session, session.message_context, message)
        if message.discarded:
            return Judged((), [(address, message.discarded) for address in envelope.recipients])
        content = message.content
        if not self._each:
            context = session.message_context
            return Judged([Recipient(address, context, content) for address in envelope.recipients], ())
        return await self._judge_each(session, envelope, content)

    async def _judge_each(self, session: Session, envelope: Envelope, content: bytes) -> Judged:
        kept: list[Recipient] = []
        discarded: list[tuple[str, str]] = []
        for address in envelope.recipients:
            context = session.message_context.copy()
            message = self._view(session, envelope, content, address)
            await self._ask(Phase.EACH_RCPT, session, context, message)
            if message.discarded:
                discarded.append((address, message.discarded))
            else:
                kept.append(Recipient(address, context, message.content if message.changed else content))
        return Judged(kept, discarded)

    async def _ask(self, phase: Phase, session: Session, context: Context, message: Message) -> None:
        validation = ValidationContext(session.context, context, tracing=session.tracing)
        answer = self._policies.ask(Question(phase, validation, session.accept(), message))
        reply: Reply | None = await answer if inspect.isawaitable(answer) else answer
        if validation.disconnecting:
            session.disconnecting = True
        if reply is not None:
            self._metrics.counter("policy_refusals_total", phase).inc()
            raise Refusal(reply, f"policy in {phase}: {reply}")

    def _view(self, session: Session, envelope: Envelope, content: bytes, recipient: str = "") -> Message:
        return Message(
            sender=envelope.sender,
            recipients=envelope.recipients,
            recipient=recipient,
            content=content,
            peer=f"{session.peer_address}:{session.peer_port}",
            listener=session.listener,
        )
