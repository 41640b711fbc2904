"""Messages with everything in them that a page has to show, or must not let through."""

from __future__ import annotations

from typing import Any

from tests.dashboard.conftest import NOW

from mailwake.events.model import Event, EventType

HOUR = 3_600_000
TAKEN = int(NOW * 1000) - 26 * HOUR
"""When the message of `one_message` was taken: yesterday."""

NASTY = "<script>alert('x')</script>"
NASTY_LINK = "javascript:alert(document.cookie)"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15"


def an_event(number: int, kind: EventType = EventType.CLICK, **fields: Any) -> Event:
    """One event of a message of its own, unless the fields say otherwise."""
    usual: dict[str, Any] = {
        "type": kind,
        "event_id": number,
        "timestamp": TAKEN + number,
        "message_id": f"{number:020x}",
        "transmission_id": number,
        "rcpt_to": "ann@example.org",
        "recipient_domain": "example.org",
        "subject": "Spring has come",
    }
    return Event(**{**usual, **fields})


def one_message(first: int = 1, message: str = "0123456789abcdef0001", **fields: Any) -> list[Event]:
    """A message that was delivered late, opened by a machine and by a person, clicked, and left the list."""
    common: dict[str, Any] = {
        "message_id": message,
        "transmission_id": 81985529216486895,
        "customer_id": "shop",
        "campaign_id": "spring & <b>autumn</b>",
        "rcpt_to": "jane.doe@example.com",
        "raw_rcpt_to": "Jane.Doe@example.com",
        "recipient_domain": "example.com",
        "subject": f"Spring {NASTY}",
        "friendly_from": "Shop <shop@shop.example>",
        "rcpt_tags": ("news", "spring"),
        **fields,
    }
    asked = {"ip_address": "192.0.2.7", "user_agent": PHONE, "agent_family": "Mobile Safari", "os_family": "iOS"}
    person = {**asked, "is_bot": False, "is_prefetched": False, "city": "Lyon", "country": "FR"}
    machine = {**asked, "is_bot": True, "bot_reason": "security_scanner", "bot_confidence": 0.9, "is_prefetched": False}
    steps: list[tuple[int, EventType, dict[str, Any]]] = [
        (
            0,
            EventType.INJECTION,
            {
                "msg_from": "bounces@shop.example",
                "msg_size": 25_104,
                "injection_time": TAKEN,
                "node_name": "node1.shop.example",
                "pathway": "newsletters",
                "rcpt_meta": {"plan": "gold", "visits": 7},
                "open_tracking": True,
                "click_tracking": True,
            },
        ),
        (5_000, EventType.DELAY, {"raw_reason": "451 4.7.1 greylisted", "reason": "451 4.7.1 greylisted"}),
        (
            605_000,
            EventType.DELIVERY,
            {"raw_reason": "250 2.0.0 Ok: queued as 7A1", "queue_time": 605_000, "num_retries": 1},
        ),
        (606_000, EventType.OPEN, machine),
        (2 * HOUR + 605_000, EventType.INITIAL_OPEN, person),
        (
            2 * HOUR + 665_000,
            EventType.CLICK,
            {**person, "target_link_url": "https://shop.example/spring?a=1&b=2", "target_link_name": "banner"},
        ),
        (2 * HOUR + 670_000, EventType.CLICK, {**person, "target_link_url": NASTY_LINK, "target_link_name": NASTY}),
        (3 * HOUR, EventType.LINK_UNSUBSCRIBE, {**person, "target_link_url": "https://shop.example/leave"}),
    ]
    return [
        Event(type=kind, event_id=first + place, timestamp=TAKEN + at, **{**common, **own})
        for place, (at, kind, own) in enumerate(steps)
    ]
