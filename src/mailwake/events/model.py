"""Events as values: their types and groups (one table), and all their fields (2-tracking.md, section 3)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec


class EventType(IntEnum):
    """What happened; the number stands in the journal for ever. Up to 8 they are the kinds of links."""

    CLICK = 1
    OPEN = 2
    INITIAL_OPEN = 3
    LINK_UNSUBSCRIBE = 4
    AMP_CLICK = 5
    AMP_OPEN = 6
    AMP_INITIAL_OPEN = 7
    LIST_UNSUBSCRIBE = 8
    INJECTION = 17
    DELIVERY = 18
    BOUNCE = 19
    DELAY = 20
    POLICY_REJECTION = 21

    @property
    def wire_name(self) -> str:
        """The type as events spell it: `initial_open`."""
        return self.name.lower()

    @property
    def group(self) -> str:
        """The member of `msys` that holds such an event."""
        return EVENT_GROUPS[self]


EVENT_GROUPS: dict[EventType, str] = {
    EventType.INJECTION: "message_event",
    EventType.DELIVERY: "message_event",
    EventType.BOUNCE: "message_event",
    EventType.DELAY: "message_event",
    EventType.POLICY_REJECTION: "message_event",
    EventType.OPEN: "track_event",
    EventType.INITIAL_OPEN: "track_event",
    EventType.CLICK: "track_event",
    EventType.AMP_OPEN: "track_event",
    EventType.AMP_INITIAL_OPEN: "track_event",
    EventType.AMP_CLICK: "track_event",
    EventType.LINK_UNSUBSCRIBE: "unsubscribe_event",
    EventType.LIST_UNSUBSCRIBE: "unsubscribe_event",
}
"""Every type of event and its group on the wire."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event; the fields have the names they have on the wire, None or empty means that it has no such field."""

    type: EventType
    event_id: int
    timestamp: int
    """Unix milliseconds."""
    message_id: str
    transmission_id: int
    customer_id: str = ""
    campaign_id: str = ""
    rcpt_to: str = ""
    """The recipient in lower case."""
    raw_rcpt_to: str = ""
    """The recipient as the sender wrote it."""
    recipient_domain: str = ""
    routing_domain: str = ""
    rcpt_meta: dict[str, Any] = {}
    rcpt_tags: tuple[str, ...] = ()
    rcpt_type: str = ""
    """`cc`, `bcc` or `archive`."""
    friendly_from: str = ""
    msg_from: str = ""
    sending_domain: str = ""
    subject: str = ""
    msg_size: int | None = None
    """Octets, as injected."""
    injection_time: int | None = None
    """Unix milliseconds."""
    open_tracking: bool | None = None
    click_tracking: bool | None = None
    initial_pixel: bool | None = None
    amp_enabled: bool | None = None
    transactional: bool | None = None
    node_name: str = ""
    pathway: str = ""
    delv_method: str = ""
    ip_address: str = ""
    """Of an engagement: who asked. Of a delivery, bounce or delay: the next hop."""
    raw_reason: str = ""
    """The next hop's reply as it came, of a delivery too; or policy's."""
    reason: str = ""
    """The same in one line, white space collapsed."""
    error_code: int | None = None
    bounce_class: int | None = None
    num_retries: int | None = None
    queue_time: int | None = None
    """Milliseconds from injection to this outcome."""
    user_agent: str = ""
    accept_language: str = ""
    target_link_url: str = ""
    target_link_name: str = ""
    agent_family: str = ""
    device_brand: str = ""
    device_family: str = ""
    os_family: str = ""
    os_version: str = ""
    is_mobile: bool | None = None
    is_proxy: bool | None = None
    is_prefetched: bool | None = None
    country: str = ""
    region: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None
    postal_code: str = ""
    is_bot: bool | None = None
    bot_reason: str = ""
    bot_confidence: float | None = None


NESTED_FIELDS: dict[str, tuple[str, ...]] = {
    "user_agent_parsed": (
        "agent_family",
        "device_brand",
        "device_family",
        "os_family",
        "os_version",
        "is_mobile",
        "is_proxy",
        "is_prefetched",
    ),
    "geo_ip": ("country", "region", "city", "latitude", "longitude", "postal_code"),
}
"""Fields that stand in an object of their own on the wire."""
