"""Some mail of two customers, with names that are markup, and what became of it."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from mailwake.events.model import Event, EventType

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3_600_000
DAY = 24 * HOUR
NOW_MS = 1_795_700_000_000
"""Thu 26 Nov 2026, 13:33:20 UTC."""

NASTY = "\"'><script>alert(1)</script>{{7*7}}&amp;"
"""What nobody should find unescaped anywhere."""

OURS, OTHERS = "42", "1001"
SECRET_OF_OTHERS = "others-secret"
"""Part of each value that the other customer's events have."""


def mail() -> list[Event]:
    """What a small store holds: all of it in the last month, some of it today."""
    numbers = count(1)
    return [event for part in (_ours(numbers), _nasty(numbers), _others(numbers)) for event in part]


def _ours(numbers: Iterator[int]) -> Iterator[Event]:
    """40 messages today and as many a week ago: 38 delivered, 2 bounced, 20 opened (8 by machines), 10 clicked."""
    for week in (0, 1):
        for place in range(40):
            at = NOW_MS - week * 7 * DAY - 4 * HOUR + place * 60_000
            copy = message(
                numbers, at, campaign_id="spring sale", rcpt_tags=("news", "vip") if place % 2 else ("news",)
            )
            yield copy(EventType.INJECTION)
            if place >= 38:
                yield copy(EventType.BOUNCE, 2000, bounce_class=10, reason="550 no such user")
                continue
            yield copy(EventType.DELIVERY, 2000)
            if place < 20:
                machine = place < 8
                yield copy(EventType.OPEN, HOUR, is_bot=machine, is_prefetched=place < 4)
                yield copy(EventType.OPEN, HOUR + 60_000, is_bot=machine, is_prefetched=place < 4)
            if 4 <= place < 14:
                yield copy(
                    EventType.CLICK,
                    HOUR + 120_000,
                    is_bot=place < 8,
                    target_link_name=("offer", "imprint")[place % 2],
                    target_link_url="https://shop.example/" + ("offer", "imprint")[place % 2],
                )


def _nasty(numbers: Iterator[int]) -> Iterator[Event]:
    """One message all of whose fields are markup."""
    fields: dict[str, Any] = dict.fromkeys(
        ("campaign_id", "subject", "friendly_from", "user_agent", "target_link_name", "reason", "agent_family"), NASTY
    )
    copy = message(
        numbers,
        NOW_MS - 2 * HOUR,
        **fields,
        rcpt_tags=(NASTY,),
        recipient_domain=NASTY,
        rcpt_to=f"{NASTY}@example.org",
        target_link_url=f"javascript:{NASTY}",
    )
    for kind in (EventType.INJECTION, EventType.DELIVERY, EventType.OPEN, EventType.CLICK):
        yield copy(kind)


def _others(numbers: Iterator[int]) -> Iterator[Event]:
    """The other customer's: more of everything, so that it would stand first."""
    for place in range(100):
        copy = message(
            numbers,
            NOW_MS - HOUR + place,
            customer_id=OTHERS,
            campaign_id=f"{SECRET_OF_OTHERS}-campaign",
            subject=f"{SECRET_OF_OTHERS}-subject",
            rcpt_tags=(f"{SECRET_OF_OTHERS}-tag",),
            rcpt_to=f"{place}@{SECRET_OF_OTHERS}.example",
            recipient_domain=f"{SECRET_OF_OTHERS}.example",
            target_link_name=f"{SECRET_OF_OTHERS}-link",
            target_link_url=f"https://{SECRET_OF_OTHERS}.example/",
        )
        for kind in (EventType.INJECTION, EventType.DELIVERY, EventType.OPEN, EventType.CLICK):
            yield copy(kind, 1000)


def message(numbers: Iterator[int], at: int, **fields: Any) -> Any:
    """Makes the events of one copy, each so many milliseconds after its injection."""
    transmission = next(numbers)

    def event(kind: EventType, after: int = 0, **more: Any) -> Event:
        values: dict[str, Any] = {
            "customer_id": OURS,
            "rcpt_to": f"p{transmission}@example.com",
            "recipient_domain": "example.com",
            "subject": "Hello",
            **fields,
            **more,
        }
        return Event(
            type=kind,
            event_id=next(numbers),
            timestamp=at + after,
            message_id=f"{transmission:020x}",
            transmission_id=transmission,
            **values,
        )

    return event
