"""The generator of believable events: the same for a seed, complete, in order, judged as the rules judge."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from mailwake.config.enrichment_settings import Enrichment
from mailwake.demo.generator import generate
from mailwake.enrichment.enricher import Enricher
from mailwake.events.describe import FIELDS
from mailwake.events.model import Event, EventType
from mailwake.events.unique_ids import id_milliseconds
from mailwake.events.wire import to_wire
from mailwake.links.body import message_id
from mailwake.logs import make_logger
from mailwake.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

END = 1_795_700_000_000
DAY = 86_400_000
ENGAGEMENT = [kind for kind in EventType if kind.group != "message_event"]


@pytest.fixture(scope="module")
def month() -> list[Event]:
    return list(generate(40_000, end_ms=END))


def test_a_seed_gives_the_same_events_again_and_another_gives_others() -> None:
    first, again, other = (list(generate(2_000, end_ms=END, seed=seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_there_are_about_as_many_as_were_asked_for_and_of_every_type(month: list[Event]) -> None:
    assert 0.9 < len(month) / 40_000 < 1.1
    assert {event.type for event in month} == set(EventType)


@pytest.mark.parametrize(("days", "customers"), [(1, 3), (60, 15)])
def test_also_for_another_time_and_other_customers(days: int, customers: int) -> None:
    events = list(generate(12_000, end_ms=END, days=days, customers=customers))
    assert 0.75 < len(events) / 12_000 < 1.25
    assert len({event.customer_id for event in events}) == customers
    assert END - days * DAY <= events[0].timestamp
    assert events[-1].timestamp < END


def test_they_come_in_order_and_no_id_comes_twice(month: list[Event]) -> None:
    times = [event.timestamp for event in month]
    assert times == sorted(times)
    assert len({event.event_id for event in month}) == len(month)
    drift = [id_milliseconds(event.event_id) - event.timestamp for event in month]
    assert min(drift) >= -1
    assert max(drift) < 1_000


def test_each_message_begins_with_its_injection_or_its_refusal(month: list[Event]) -> None:
    first: dict[str, EventType] = {}
    for event in month:
        first.setdefault(event.message_id, event.type)
    begun = Counter(first.values())
    assert begun.pop(EventType.INJECTION) > 10_000
    assert begun.pop(EventType.POLICY_REJECTION) > 5
    # Nobody's, and those sent before the month began, of which there are none.
    assert set(begun) <= set(ENGAGEMENT)
    assert all(message.endswith("ffff") for message, kind in first.items() if kind in begun)


def test_a_message_is_delivered_once_or_bounces_once(month: list[Event]) -> None:
    ends = Counter(event.message_id for event in month if event.type in (EventType.DELIVERY, EventType.BOUNCE))
    assert max(ends.values()) == 1


def test_the_funnel_is_believable(month: list[Event]) -> None:
    of = _messages_by_type(month)
    targeted = len(of[EventType.INJECTION]) + len(of[EventType.POLICY_REJECTION])
    accepted = of[EventType.DELIVERY]
    named = {event.message_id for event in month if event.rcpt_to}
    opened = of[EventType.OPEN] | of[EventType.INITIAL_OPEN] | of[EventType.AMP_OPEN] | of[EventType.AMP_INITIAL_OPEN]
    clicked = of[EventType.CLICK] | of[EventType.AMP_CLICK]
    by_people = {event.message_id for event in month if event.type is EventType.CLICK and not event.is_bot}
    assert 0.97 * targeted < len(accepted) < targeted
    assert (opened | clicked) & named <= accepted
    assert 0.25 < len(opened) / targeted < 0.6
    assert 0.02 < len(by_people) / targeted < 0.12
    assert by_people < clicked


def test_machines_prefetches_and_proxies_have_their_share(month: list[Event]) -> None:
    opens = [event for event in month if event.type in (EventType.OPEN, EventType.INITIAL_OPEN)]
    clicks = [event for event in month if event.type is EventType.CLICK]
    assert 0.2 < _share(event.is_prefetched for event in opens) < 0.7
    assert _share(event.is_proxy for event in opens) > _share(event.is_prefetched for event in opens)
    assert 0.3 < _share(event.is_bot for event in clicks) < 0.85
    reasons = {event.bot_reason for event in month}
    assert reasons >= {
        "several_links_at_once", "security_scanner", "honeypot", "link_preview", "http_tool", "hardly_anybody_could",
    }  # fmt: skip


def test_who_is_no_machine_reads_at_day_and_in_their_own_time_zone(month: list[Event]) -> None:
    asleep: defaultdict[str, int] = defaultdict(int)
    for event in month:
        if event.country in ("GB", "US") and event.type is EventType.CLICK and not event.is_bot:
            hours = (event.timestamp / 3_600_000 + (event.longitude or 0) / 15) % 24
            asleep[event.country] += 1 if hours < 5 else -1
    assert set(asleep) == {"GB", "US"}
    assert max(asleep.values()) < 0


def test_events_have_the_fields_of_their_type_and_no_others(month: list[Event]) -> None:
    for event in month[:: len(month) // 3_000]:
        allowed = {name for name, field in FIELDS.items() if event.type in field.carriers}
        given = {name for name in FIELDS if getattr(event, name) not in ("", None, (), {})}
        assert given <= allowed, (event.type, given - allowed)
        wire = to_wire(event)["msys"][event.type.group]
        assert wire["type"] == event.type.wire_name
        assert int(wire["message_id"][:16], 16) == event.transmission_id
        assert event.message_id == message_id(event.transmission_id, int(event.message_id[16:], 16))


def test_an_anonymous_copy_says_nothing_of_whose_it_is(month: list[Event]) -> None:
    anonymous = [event for event in month if not event.rcpt_to]
    assert {event.type for event in anonymous} >= {EventType.INJECTION, EventType.DELIVERY, EventType.OPEN}
    for event in anonymous:
        assert (event.raw_rcpt_to, event.recipient_domain, event.rcpt_meta, event.msg_from) == ("", "", {}, "")
        assert event.country == ""
        if event.type in ENGAGEMENT:
            assert event.ip_address == ""
            assert event.message_id.endswith("ffff")


def test_who_left_a_list_gets_no_more_of_its_newsletters(month: list[Event]) -> None:
    left: dict[tuple[str, str], int] = {}
    for event in month:
        who = (event.customer_id, event.rcpt_to)
        if event.type in (EventType.LINK_UNSUBSCRIBE, EventType.LIST_UNSUBSCRIBE):
            left.setdefault(who, event.timestamp)
        elif event.type is EventType.INJECTION and event.pathway == "newsletters":
            assert left.get(who, END) >= event.timestamp
    assert left


def test_only_names_and_addresses_that_nobody_can_have(month: list[Event]) -> None:
    reserved = ("100.", "192.0.2.", "198.18.", "198.19.", "198.51.100.", "203.0.113.")
    for event in month:
        assert event.recipient_domain == "" or event.recipient_domain.endswith(".example")
        assert event.sending_domain.endswith(".example")
        assert event.ip_address == "" or event.ip_address.startswith(reserved)
        assert event.target_link_url == "" or event.target_link_url.split("/")[2].endswith(".example")


def test_the_shipped_rules_say_the_same_of_each_event(month: list[Event]) -> None:
    part = [event for event in month if event.customer_id in ("citypass-travel", "quillnote", "harbor-books")][:20_000]
    enricher = Enricher(Enrichment(), make_logger("json", "error"), Metrics())
    waiting: list[Event] = []
    judged = 0
    for event in [*part, None]:
        while waiting and (event is None or waiting[0].timestamp < event.timestamp - 2_500):
            expected = waiting.pop(0)
            assert enricher.complete(unjudged(expected)) == _without_place(expected)
            judged += expected.bot_reason != ""
        if event is not None:
            enricher.observe(event)
            waiting.append(event)
    assert judged > 500


def unjudged(event: Event) -> Event:
    """As the journal has it."""
    if event.type not in ENGAGEMENT:
        return _without_place(event)
    return replace(
        _without_place(event), agent_family="", device_brand="", device_family="", os_family="", os_version="",
        is_mobile=None, is_proxy=None, is_prefetched=False, is_bot=None, bot_reason="", bot_confidence=None,
    )  # fmt: skip


def _without_place(event: Event) -> Event:
    return replace(event, country="", region="", city="", latitude=None, longitude=None, postal_code="")


def _messages_by_type(events: list[Event]) -> defaultdict[EventType, set[str]]:
    found: defaultdict[EventType, set[str]] = defaultdict(set)
    for event in events:
        found[event.type].add(event.message_id)
    return found


def _share(flags: Iterable[bool | None]) -> float:
    counted = [bool(flag) for flag in flags]
    return sum(counted) / len(counted)
