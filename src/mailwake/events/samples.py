"""One made-up event of each type, as the API shows it to people who write a consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailwake.events.describe import FIELDS
from mailwake.events.model import Event, EventType

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIME = 1_790_689_600_123

_VALUES: Mapping[str, Any] = {
    "event_id": 987_654_321_098_765_432,
    "timestamp": _TIME + 61_000,
    "message_id": "03339059800441850002",
    "transmission_id": 230_686_720_000_278_917,
    "customer_id": "42",
    "campaign_id": "spring_sale",
    "rcpt_to": "jane.doe@example.com",
    "raw_rcpt_to": "Jane.Doe@example.com",
    "recipient_domain": "example.com",
    "routing_domain": "example.com",
    "rcpt_meta": {"plan": "gold"},
    "rcpt_tags": ("news", "spring"),
    "rcpt_type": "cc",
    "friendly_from": "Shop <shop@shop.example>",
    "msg_from": "bounces@shop.example",
    "sending_domain": "shop.example",
    "subject": "Spring has come",
    "msg_size": 25_104,
    "injection_time": _TIME,
    "open_tracking": True,
    "click_tracking": True,
    "initial_pixel": True,
    "amp_enabled": False,
    "transactional": False,
    "node_name": "node1.shop.example",
    "pathway": "newsletters",
    "delv_method": "esmtp",
    "ip_address": "192.0.2.25",
    "raw_reason": "550 5.1.1 no such user",
    "reason": "550 5.1.1 no such user",
    "error_code": 550,
    "bounce_class": 10,
    "num_retries": 2,
    "queue_time": 61_000,
    "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15",
    "accept_language": "en-GB",
    "target_link_url": "https://shop.example/spring?a=1",
    "target_link_name": "banner",
    "agent_family": "Mobile Safari",
    "device_brand": "Apple",
    "device_family": "iPhone",
    "os_family": "iOS",
    "os_version": "19.1",
    "is_mobile": True,
    "is_proxy": False,
    "is_prefetched": False,
    "country": "GB",
    "region": "ENG",
    "city": "London",
    "latitude": 51.5074,
    "longitude": -0.1278,
    "postal_code": "SW1A",
    "is_bot": False,
    "bot_reason": "",
    "bot_confidence": 0.0,
}

_OF_TYPE: Mapping[EventType, Mapping[str, Any]] = {
    EventType.DELIVERY: {"raw_reason": "250 2.0.0 queued as 4F2A"},
    EventType.DELAY: {
        "raw_reason": "421 4.7.0 try again later",
        "reason": "421 4.7.0 try again later",
        "error_code": 421,
        "bounce_class": 70,
    },
    EventType.POLICY_REJECTION: {
        "raw_reason": "550 5.7.1 not for us",
        "reason": "550 5.7.1 not for us",
        "error_code": 550,
        "bounce_class": 50,
    },
}


def sample(kind: EventType) -> Event:
    """An event of this type with all the fields that such an event can have."""
    values = {name: value for name, value in _VALUES.items() if kind in FIELDS[name].carriers}
    return Event(type=kind, **{**values, **_OF_TYPE.get(kind, {})})
