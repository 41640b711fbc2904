"""The one log line of each message, whatever became of it, and how long each step took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailwake.logs import informs
from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.clock import Clock
    from mailwake.flows.prepared_message import PreparedMessage
    from mailwake.listener.session import Session
    from mailwake.logs import Logger
    from mailwake.relay.delivery import Copy, Outcome
    from mailwake.smtp.envelope import Envelope
    from mailwake.smtp.server_events import Answer

SHOWN_RECIPIENTS = 10
"""Recipients that a line names; it has the number of all."""


class Progress:
    """How far a message has come: the times of its steps, in seconds of the clock, and the octets handed on."""

    __slots__ = ("began", "decided", "received", "relayed", "sent", "transmission_id")

    def __init__(self, began: float, received: float) -> None:
        self.began = began
        """MAIL FROM."""
        self.received = received
        """The last octet."""
        self.decided = received
        """Policy has judged, and the copies are planned."""
        self.relayed = received
        """The next hop has answered for all copies, or the spool has them."""
        self.sent = 0
        self.transmission_id = 0


class MessageLog:
    """Writes the lines; where nobody reads them, none of what they would say is computed."""

    def __init__(self, log: Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._informs = informs(log)

    def begin(self, session: Session) -> Progress:
        """The message has just come in."""
        now = self._clock.monotonic()
        return Progress(session.message_began or now, now)

    def sending(self, progress: Progress, copy: Copy) -> None:
        """A copy is handed to the next hop."""
        if self._informs:
            progress.sent += sum(map(len, copy.pieces))

    def relayed(
        self,
        session: Session,
        message: PreparedMessage,
        content: bytes,
        outcomes: Sequence[Outcome],
        answer: Answer,
        progress: Progress,
    ) -> None:
        """The next hop, or the spool, was asked to take it; `answer` says what came of it."""
        if not self._informs:
            return
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
            to=list(message.envelope.recipients[:SHOWN_RECIPIENTS]),
            size=len(content),
            sent=progress.sent,
            links=plan.tracked_links,
            signed=", ".join(plan.signed_by),
            result=_result(answer),
            reply=_text(answer),
            outcome=in_a_word(outcomes),
            next_hop=first.next_hop if first else "",
            next_hop_reply=str(first.reply) if first else "",
            reason=first.reason if first else "",
            **self._times(progress),
        )

    def refused(
        self, session: Session, envelope: Envelope, content: bytes, reply: Reply, reason: str, progress: Progress
    ) -> None:
        """Nobody was asked to take it: it is malformed, or policy does not want it, or it can have no id."""
        result = _result(reply)
        facts = self._of_undecided(session, envelope, content, reply, progress)
        self._log.warning("message refused", result=result, reason=reason, **facts)

    def nobody_left(
        self, session: Session, envelope: Envelope, content: bytes, answer: Answer, progress: Progress
    ) -> None:
        """Policy has thrown every copy away, or refused it, which LMTP can say of each."""
        if self._informs:
            result = "discarded" if answer.is_positive else _result(answer)
            facts = self._of_undecided(session, envelope, content, answer, progress)
            self._log.info("message discarded", result=result, **facts)

    def left_out(
        self, session: Session, envelope: Envelope, recipient: str, reason: str, progress: Progress, *, refused: bool
    ) -> None:
        """Policy has thrown one recipient's copy away, or refused it."""
        self._log.info(
            "copy refused by policy" if refused else "copy discarded by policy",
            transmission=progress.transmission_id,
            peer=session.peer_address,
            sender=envelope.sender,
            recipient=recipient,
            reason=reason,
        )

    def _of_undecided(
        self, session: Session, envelope: Envelope, content: bytes, answer: Answer, progress: Progress
    ) -> dict[str, Any]:
        progress.decided = progress.relayed = self._clock.monotonic()
        return {
            "transmission": progress.transmission_id,
            "peer": session.peer_address,
            "customer": session.context.get("mo_customer_id") or "",
            "sender": envelope.sender,
            "recipients": len(envelope.recipients),
            "to": list(envelope.recipients[:SHOWN_RECIPIENTS]),
            "size": len(content),
            "reply": _text(answer),
            **self._times(progress),
        }

    def _times(self, progress: Progress) -> dict[str, float]:
        return {
            "receive_ms": _ms(progress.received - progress.began),
            "policy_ms": _ms(progress.decided - progress.received),
            "relay_ms": _ms(progress.relayed - progress.decided),
            "total_ms": _ms(self._clock.monotonic() - progress.began),
        }


def _ms(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 1)


def _result(answer: Answer) -> str:
    return "accepted" if answer.is_positive else "deferred" if answer.code < 500 else "refused"


def _text(answer: Answer) -> str:
    """The reply, or the different ones of LMTP."""
    return str(answer) if isinstance(answer, Reply) else "; ".join(dict.fromkeys(map(str, answer.each)))


def in_a_word(outcomes: Sequence[Outcome]) -> str:
    """What became of the copies."""
    statuses = {outcome.status for outcome in outcomes}
    if not statuses:
        return "spooled"
    return statuses.pop().value if len(statuses) == 1 else "mixed"
