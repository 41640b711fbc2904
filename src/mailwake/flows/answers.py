"""What the sender is told of a message, and with that, whose copies are its own business again.

SMTP has one reply for a message, and 250 takes on all of it; LMTP has one for each recipient that the client named
(RFC 2033 §4.2), which takes on that copy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mailwake.relay.delivery import Status
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import MessageReplies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.relay.delivery import Outcome
    from mailwake.smtp.server_events import Answer

LONGEST_QUOTE = 200
"""Characters of the next hop's reply that are shown to the sender."""

DISCARDED = Reply(250, "2.0.0", "OK")
"""For whom policy threw the message away: the sender is not to know."""
_LESS_FINAL = {421: 451, 521: 550}
_DEFERRED = Reply(451, "4.3.0", "The next hop did not take the message, try again later")


class Answering(Protocol):
    """How a message is answered; outcomes are those of its copies, in their order."""

    def answer(self, transmission_id: int, outcomes: Sequence[Outcome]) -> Answer:
        """What the sender is told."""
        ...

    def for_all(self, reply: Reply) -> Answer:
        """The same for all, but for those about whom policy has decided."""
        ...

    def told(self, outcomes: Sequence[Outcome]) -> frozenset[int]:
        """The copies that were not taken and of which the answer says so: nobody else has to do anything about them."""
        ...


class OneReply:
    """SMTP's way."""

    def answer(self, transmission_id: int, outcomes: Sequence[Outcome]) -> Answer:
        """250 if any copy was taken: what was not is ours then."""
        if not outcomes:
            return DISCARDED
        if any(outcome.status is Status.DELIVERED for outcome in outcomes):
            return _taken(transmission_id, outcomes)
        return reply_for_none_taken(outcomes)

    def for_all(self, reply: Reply) -> Answer:
        """There is but one reply."""
        return reply

    def told(self, outcomes: Sequence[Outcome]) -> frozenset[int]:
        """All of them, or none."""
        missing = _missing(outcomes, range(len(outcomes)))
        return missing if len(missing) == len(outcomes) else frozenset()


class ReplyForEach:
    """LMTP's way; `places` has the copy of each accepted RCPT, or what is said where policy wants none.

    Where the header adds recipients (`adds`), a message that anybody has got is not the client's to repeat: it would
    add them once more. What the next hop did not take for now is then ours, as in SMTP.
    """

    def __init__(self, places: Sequence[int | Reply], *, adds: bool = False) -> None:
        self._places = places
        self._adds = adds

    def answer(self, transmission_id: int, outcomes: Sequence[Outcome]) -> Answer:
        """To each recipient what became of its own copy."""
        told = self.told(outcomes)

        def reply(place: int | Reply) -> Reply:
            if isinstance(place, Reply):
                return place
            own = outcomes[place : place + 1]
            if place in told:
                return reply_for_none_taken(own)
            return _taken(transmission_id, own) if own[0].status is Status.DELIVERED else spooled(transmission_id)

        return MessageReplies([reply(place) for place in self._places])

    def for_all(self, reply: Reply) -> Answer:
        """Whom policy has refused is told so; a single reply is said to each by the protocol."""
        if not any(isinstance(place, Reply) for place in self._places):
            return reply
        return MessageReplies([place if isinstance(place, Reply) else reply for place in self._places])

    def told(self, outcomes: Sequence[Outcome]) -> frozenset[int]:
        """Those of named recipients; of a message that adds others, those refused for good, or all if nobody has it."""
        missing = _missing(outcomes, [place for place in self._places if isinstance(place, int)])
        if not (self._adds and missing):
            return missing
        everybody = _missing(outcomes, range(len(outcomes)))
        if len(everybody) == len(outcomes):  # the client has the whole message still, and adds them anew with it
            return everybody
        return frozenset(place for place in missing if outcomes[place].status is Status.REFUSED)


def spooled(transmission_id: int) -> Reply:
    """For what is ours from now on, and no next hop has taken yet."""
    return Reply(250, "2.0.0", f"OK {transmission_id} (queued)")


def _missing(outcomes: Sequence[Outcome], places: Sequence[int]) -> frozenset[int]:
    return frozenset(place for place in places if outcomes[place].status is not Status.DELIVERED)


def _taken(transmission_id: int, outcomes: Sequence[Outcome]) -> Reply:
    """`OK` and the id come first: senders look for them there."""
    return Reply(250, "2.0.0", f"OK {transmission_id} ({_said(outcomes)})")


def _said(outcomes: Sequence[Outcome]) -> str:
    if len(outcomes) == 1:
        quote = str(outcomes[0].reply)
        return f"next hop: {quote if len(quote) <= LONGEST_QUOTE else quote[:LONGEST_QUOTE] + '...'}"
    statuses = [outcome.status for outcome in outcomes]
    taken, refused = statuses.count(Status.DELIVERED), statuses.count(Status.REFUSED)
    queued = len(statuses) - taken - refused
    rest = f"{f', {queued} queued' * (queued > 0)}{f', {refused} bounced' * (refused > 0)}"
    return f"{taken} of {len(statuses)} copies taken{rest}"


def reply_for_none_taken(outcomes: Sequence[Outcome]) -> Reply:
    """The next hop's own reply when it took no copy: a transient one if there is any, so that the sender tries again.

    421 and 521 (RFC 7504) are passed on as 451 and 550: they would end the client's connection to us, which is as good
    as ever.
    """
    transient = next((outcome for outcome in outcomes if outcome.status is not Status.REFUSED), None)
    reply = (transient or outcomes[0]).reply
    if transient is not None and not reply.is_transient:
        return _DEFERRED
    return Reply(_LESS_FINAL.get(reply.code, reply.code), reply.enhanced, reply.text)
