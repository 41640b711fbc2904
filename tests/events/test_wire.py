"""The webhook form of every type of event, held against tests/golden/events/."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from mailwake.events.from_record import EventReader, completed
from mailwake.events.model import EVENT_GROUPS, Event, EventType
from mailwake.events.record import (
    EngagementRecord,
    MessageFacts,
    ObservationRecord,
    Observed,
    Outcome,
    RecordError,
    decode_record,
    encode_engagement,
    encode_head,
    encode_message,
    pack_facts,
    record_time,
)
from mailwake.events.wire import iso_time, to_wire, wire_json
from mailwake.links.token import LinkContext, LinkKind, decode_body, link_array, message_id, pack_context

GOLDEN = Path(__file__).parents[1] / "golden" / "events"
TRANSMISSION = 55_000_000_000 << 22 | 17 << 14 | 3 << 7 | 5
FACTS = MessageFacts(
    transmission_id=TRANSMISSION,
    injection_time=1_790_689_600_123,
    msg_size=25_104,
    customer_id="acme",
    campaign_id="spring_sale",
    tags=("cat", "dog"),
    metadata='{"plan":"gold","seats":3,"näme":[1,null]}',
    friendly_from="shop@example.com",
    msg_from="bounces@mail.example.com",
    sending_domain="example.com",
    subject="Grüße – it's spring",
    open_tracking=True,
    click_tracking=True,
    initial_pixel=True,
    node_name="mx1.example.com",
    pathway="bulk",
)
OUTCOMES = {
    EventType.INJECTION: None,
    EventType.DELIVERY: Outcome(250, "2.0.0", "Ok: queued as 4XyZ", "192.0.2.25", 1, 731),
    EventType.BOUNCE: Outcome(550, "5.1.1", "no such\nuser here", "192.0.2.25", 2, 90_000),
    EventType.DELAY: Outcome(451, "4.7.0", "try later", "192.0.2.25", 0, 12),
    EventType.POLICY_REJECTION: Outcome(550, "5.7.1", "not from here", "", 0, 0, ""),
}


ENRICHMENT = {
    "agent_family": "Mobile Safari",
    "device_brand": "Apple",
    "device_family": "iPhone",
    "os_family": "iOS",
    "os_version": "19.1",
    "is_mobile": True,
    "is_proxy": False,
    "country": "US",
    "region": "MD",
    "city": "Columbia",
    "latitude": 39.1749,
    "longitude": -76.8375,
    "postal_code": "21046",
    "is_bot": True,
    "bot_reason": "several_links_at_once",
    "bot_confidence": 0.9,
}


def raw_body(kind: EventType, target: str, name: str) -> bytes:
    context = LinkContext(
        customer_id="acme",
        transmission_id=TRANSMISSION,
        message_id=message_id(TRANSMISSION, 2),
        sent=1_790_689_600,
        expires=31_536_000,
        recipient="Jane.Doe@Example.COM",
        campaign_id="spring_sale",
        tags=("cat", "dog"),
        metadata=FACTS.metadata,
    )
    packed = pack_context(context)
    return packed[:8] + link_array(LinkKind(kind), packed, target, name)


def payload(event_type: EventType) -> bytes:
    if event_type in OUTCOMES:
        return encode_message(
            event_type,
            987_654_321_098_765_432,
            1_790_689_601_999,
            pack_facts(FACTS),
            "Jane.Doe@Example.COM",
            2,
            "cc",
            OUTCOMES[event_type],
        )
    leads_somewhere = "CLICK" in event_type.name or "UNSUBSCRIBE" in event_type.name
    target = "https://www.example.com/a?b=1&c=%C3%BC" if leads_somewhere else ""
    return encode_engagement(
        EngagementRecord(
            type=event_type,
            event_id=987_654_321_098_765_432,
            time_ms=1_790_689_661_999,
            address="2001:db8::1",
            user_agent="Mozilla/5.0 (X11; Linux x86_64)",
            accept_language="de-DE,de;q=0.8",
            prefetched=event_type is EventType.OPEN,
            raw_body=raw_body(event_type, target, "banner" if event_type is EventType.CLICK else ""),
        )
    )


def event_of(encoded: bytes) -> Event:
    event = EventReader(decode_body).read(encoded)
    assert event is not None
    return event


@pytest.mark.parametrize("event_type", EventType, ids=lambda event_type: event_type.wire_name)
def test_the_webhook_form_is_as_promised(event_type: EventType) -> None:
    event = event_of(payload(event_type))
    if event_type not in OUTCOMES:
        event = msgspec.structs.replace(completed(event, FACTS), **ENRICHMENT)
    golden = (GOLDEN / f"{event_type.wire_name}.json").read_text(encoding="utf-8")
    assert json.dumps(to_wire(event), indent=2, ensure_ascii=False) + "\n" == golden


@pytest.mark.parametrize("event_type", EventType, ids=lambda event_type: event_type.wire_name)
def test_an_event_is_one_line_of_json(event_type: EventType) -> None:
    line = wire_json(event_of(payload(event_type)))
    assert b"\n" not in line
    assert json.loads(line) == json.loads(json.dumps(to_wire(event_of(payload(event_type)))))


def test_every_type_has_a_group_and_a_golden_file() -> None:
    assert set(EVENT_GROUPS) == set(EventType)
    assert {path.stem for path in GOLDEN.glob("*.json")} == {event_type.wire_name for event_type in EventType}


@pytest.mark.parametrize("event_type", EventType, ids=lambda event_type: event_type.wire_name)
def test_the_time_of_a_record_is_read_without_the_rest(event_type: EventType) -> None:
    encoded = payload(event_type)
    assert record_time(encoded) == event_of(encoded).timestamp
    assert record_time(b"") == record_time(b"\xc1") == record_time(b"\x91\x01") == 0


def test_an_observation_is_no_event() -> None:
    body = raw_body(EventType.CLICK, "http://e.org", "")
    encoded = encode_head(EventType.CLICK, 1_790_689_600_000, "192.0.2.1", "curl/8", body)
    assert decode_record(encoded) == ObservationRecord(
        EventType.CLICK, 0, 1_790_689_600_000, "192.0.2.1", "curl/8", body, Observed.HEAD
    )
    assert EventReader(decode_body).read(encoded) is None
    assert record_time(encoded) == 1_790_689_600_000


def test_a_field_without_a_value_is_left_out() -> None:
    bare = encode_message(
        EventType.INJECTION, 1, 1_790_689_600_000, pack_facts(MessageFacts(TRANSMISSION, 5, 0)), "postmaster", 0
    )
    fields = to_wire(event_of(bare))["msys"]["message_event"]
    assert fields == {
        "type": "injection",
        "event_id": "1",
        "timestamp": "1790689600",
        "message_id": message_id(TRANSMISSION, 0),
        "transmission_id": str(TRANSMISSION),
        "rcpt_to": "postmaster",
        "raw_rcpt_to": "postmaster",
        "msg_size": "0",
        "injection_time": "1970-01-01T00:00:00.005Z",
        "open_tracking": False,
        "click_tracking": False,
        "initial_pixel": False,
        "amp_enabled": False,
        "transactional": False,
    }


def test_a_link_without_a_name_is_called_raw_url() -> None:
    record = EngagementRecord(EventType.CLICK, 1, 2, "", "", "", False, raw_body(EventType.CLICK, "http://e.org", ""))
    fields = to_wire(event_of(encode_engagement(record)))["msys"]["track_event"]
    assert fields["target_link_name"] == "Raw URL"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x00",
        b"\x93\x01\x02\x03",
        b"\x98\x09" + bytes(7),
        b"\x81\x01\x01",
        b"\xdd\xff\xff\xff\xff",
        encode_message(EventType.INJECTION, 1, 2, b"\xc0", "r", 0),
        encode_message(EventType.INJECTION, 1, 2, pack_facts(MessageFacts(1, 2, 3, metadata="{")), "r", 0),
        encode_message(99, 1, 2, pack_facts(FACTS), "r", 0),  # type: ignore[arg-type]
    ],
)
def test_a_record_that_makes_no_sense_is_an_error_of_ours(damaged: bytes) -> None:
    with pytest.raises(RecordError, match=r"^a record of the journal cannot be read"):
        EventReader(decode_body).read(damaged)


def test_later_releases_may_append_to_a_record() -> None:
    encoded = bytearray(payload(EventType.CLICK))
    encoded[0] += 1
    assert event_of(bytes(encoded) + b"\xc0").type is EventType.CLICK


def test_times_are_iso_8601_with_milliseconds() -> None:
    assert iso_time(1_461_000_307_007) == "2016-04-18T17:25:07.007Z"
