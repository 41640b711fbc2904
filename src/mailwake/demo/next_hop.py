"""What the agency's mail servers say to each copy: taken, refused, or come again, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mailwake.events.bounce_class import bounce_class
from mailwake.events.model import EventType

if TYPE_CHECKING:
    from random import Random

    from mailwake.demo.calendar import Calendar
    from mailwake.demo.people import Person
    from mailwake.events.model import Event

_ADDRESSES = ("192.0.2.25", "192.0.2.26", "198.51.100.25")


class _Reply(NamedTuple):
    code: int
    enhanced: str
    text: str


_UNKNOWN = _Reply(550, "5.1.1", "<{address}>: Recipient address rejected: User unknown")
_FULL = _Reply(552, "5.2.2", "The mailbox of the recipient is over its quota")
_BLOCKED = _Reply(554, "5.7.1", "Message refused by the policy of {domain}")
_NO_HOST = _Reply(550, "5.4.4", "Host or domain name not found: {domain}")
_EXPIRED = _Reply(451, "4.4.7", "Delivery time expired")
_GREY = _Reply(451, "4.7.1", "Greylisted, try again in 300 seconds")
_BUSY = _Reply(421, "4.7.0", "Too many messages for {domain}, slow down")
_DOWN = _Reply(450, "4.4.1", "The server of {domain} does not answer")
_SUPPRESSED = _Reply(550, "5.7.1", "The recipient is on the suppression list")

_DELIVERY, _BOUNCE = {"type": EventType.DELIVERY}, {"type": EventType.BOUNCE}
_DELAY, _REJECTION = {"type": EventType.DELAY}, {"type": EventType.POLICY_REJECTION}

_REFUSED = 0.0045
"""How often a copy to somebody who exists is refused all the same."""


class NextHop:
    """Answers for copies, and enters the events of it in the calendar."""

    def __init__(self, calendar: Calendar, chance: Random) -> None:
        self._calendar = calendar
        self._random = chance.random

    def answer(self, copy: Event, person: Person, at: int) -> int:
        """The events of the attempts for a copy injected `at`; when it is delivered, 0 if it never is."""
        lot = self._random()
        hop: dict[str, Any] = {"ip_address": _ADDRESSES[int(lot * 1e4) % 3], "delv_method": "esmtp"}
        now = at + 12 + int(90 * lot) + (int(2_500 * lot) if lot > 0.97 else 0)
        refusal = _refusal(person, lot)
        tries = 0
        if refusal is None and lot > 1 - person.provider.deferred:
            lot = self._random()
            deferral = _GREY if lot < 0.5 else _BUSY if lot < 0.8 else _DOWN
            for tries in range(1, 2 + int(4 * lot * lot)):
                tried = {"num_retries": tries - 1, "queue_time": now - at}
                self._calendar.add(now, copy, _DELAY | hop | tried | _said(deferral, copy, person))
                now += int((300 << tries) * 1000 * (0.9 + 0.2 * self._random()))
            refusal = _EXPIRED if lot > 0.97 else None
        hop |= {"num_retries": tries, "queue_time": now - at}
        if refusal is not None:
            self._calendar.add(now, copy, _BOUNCE | hop | _said(refusal, copy, person))
            return 0
        queued = f"250 2.0.0 Ok: queued as {int(self._random() * (1 << 40)):010X}"
        self._calendar.add(now, copy, _DELIVERY | hop | {"raw_reason": queued})
        return now

    def refuse(self, copy: Event, person: Person, at: int) -> None:
        """Policy refuses the message of this copy."""
        self._calendar.add(at, copy, _REJECTION | _said(_SUPPRESSED, copy, person))


def _refusal(person: Person, lot: float) -> _Reply | None:
    if not person.exists:
        return _UNKNOWN
    if lot >= _REFUSED:
        return None
    return _FULL if lot < 0.4 * _REFUSED else _BLOCKED if lot < 0.8 * _REFUSED else _NO_HOST


def _said(reply: _Reply, copy: Event, person: Person) -> dict[str, Any]:
    # A reply may quote the address: that of an anonymous copy is not kept.
    text = reply.text.format(address=person.address, domain=person.domain) if copy.rcpt_to else ""
    raw = f"{reply.code} {reply.enhanced} {text}".rstrip()
    known = {"error_code": reply.code, "bounce_class": bounce_class(reply.code, reply.enhanced)}
    return {"raw_reason": raw, "reason": raw, **known}
