"""A story: events one after the other, with the time between them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from mailwake.dashboard.event_words import CLICKS, OPENS, UNSUBSCRIBES
from mailwake.events.model import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailwake.events.model import Event


class Moment(NamedTuple):
    """An event in its message's story."""

    event: Event
    after: int | None
    """Milliseconds since the one before it in the same message; None for its first one."""


def story(events: Iterable[Event]) -> list[Moment]:
    """The events in the order that they happened, of whichever messages; of one millisecond, as a message lives."""
    last: dict[str, int] = {}
    moments = []
    for event in sorted(events, key=_in_order):
        before = last.get(event.message_id)
        moments.append(Moment(event, None if before is None else event.timestamp - before))
        last[event.message_id] = event.timestamp
    return moments


def _in_order(event: Event) -> tuple[int, int, int]:
    return event.timestamp, 0 if event.type is EventType.INJECTION else 1, event.event_id


class Copy(NamedTuple):
    """One message to one person, in a line."""

    first: Event
    """Of the events that are known, the one that tells most of it."""
    sent: int
    """When it was taken in, Unix milliseconds; of a message whose injection is not known, its first event."""
    outcome: str
    """What became of it at the next hop: a key of OUTCOMES."""
    opens: int
    clicks: int
    left: bool
    """Whether its recipient left the list by it."""
    opened_by_person: bool
    clicked_by_person: bool

    @property
    def opened(self) -> bool:
        """Whether somebody, or something, opened it: who clicks has opened it."""
        return bool(self.opens or self.clicks)


OUTCOMES = {
    EventType.DELIVERY: ("Delivered", "good"),
    EventType.BOUNCE: ("Bounced", "bad"),
    EventType.POLICY_REJECTION: ("Rejected", "bad"),
    EventType.DELAY: ("Delayed", "warn"),
    EventType.INJECTION: ("On its way", "plain"),
}
"""What may have become of a copy, the last word first."""


def copies(events: Iterable[Event]) -> list[Copy]:
    """The messages that these events are of, the newest first."""
    by_message: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=_in_order):
        by_message[event.message_id].append(event)
    return sorted((_copy(each) for each in by_message.values()), key=lambda copy: -copy.sent)


def _copy(events: Sequence[Event]) -> Copy:
    first = next((each for each in events if each.type is EventType.INJECTION), events[0])
    kinds = {each.type for each in events}
    people = [each for each in events if is_persons(each)]
    return Copy(
        first=first,
        sent=first.injection_time or first.timestamp,
        outcome=next((OUTCOMES[kind][0] for kind in OUTCOMES if kind in kinds), ""),
        opens=sum(each.type in OPENS for each in events),
        clicks=sum(each.type in CLICKS for each in events),
        left=bool(kinds & UNSUBSCRIBES),
        opened_by_person=any(each.type in OPENS | CLICKS for each in people),
        clicked_by_person=any(each.type in CLICKS for each in people),
    )


def is_persons(event: Event) -> bool:
    """Whether nothing speaks against a person: what the cut "People only" counts."""
    return not event.is_bot and not event.is_prefetched
