"""What events say of people when a site wants to know less: hashed recipients, and anonymous copies."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable

import pytest

from mailwake.events.from_record import EventReader
from mailwake.events.model import Event
from mailwake.events.record import EngagementRecord, encode_engagement
from mailwake.events.wire import wire_fields
from mailwake.flows.click_flow import EVENT_TYPES
from mailwake.links.token import Link, decode_body
from mailwake.links.tracked_url import parse_url
from mailwake.smtp.replies import Reply

from .message_harness import MessageHarness

Begin = Callable[..., Awaitable[MessageHarness]]
ANN, BOB = "Ann.Somebody@people.example", "bob@elsewhere.example"
TRACKED = {"click_tracking_enabled": "true", "open_tracking_enabled": "true", "list_unsubscribe": "true"}
VERP = "bounces+Ann.Somebody=people.example@list.example"
PIECES = ("somebody", "people.example")
"""What nobody may read out of an event; the local part and the domain."""


def content(level: str = "identified") -> bytes:
    header = {"options": {"tracking_level": level}, "campaign_id": "c", "metadata": {"name": ANN}}
    return (
        f"X-MSYS-API: {json.dumps(header)}\r\nFrom: News <{VERP}>\r\nSubject: News\r\nContent-Type: text/html\r\n\r\n"
        '<a href="https://www.example.org/">x</a>\r\n'
    ).encode()


def links(harness: MessageHarness, copy: bytes) -> list[Link]:
    found = []
    for url in re.findall(rb'[<"](https?://[^">]*/[fqou]/[^">]*)[">]', copy):
        path = parse_url(url.decode())
        assert path is not None
        found.append(harness.codec.decode(path.token, path.family))
    assert len(found) == 4
    return found


def followed(harness: MessageHarness, copy: bytes) -> list[Event]:
    """The events of somebody who follows every link of a copy."""
    read = EventReader(decode_body).read
    records = [
        EngagementRecord(EVENT_TYPES[link.kind], 1, 2, "", "", "", False, link.raw_body)
        for link in links(harness, copy)
    ]
    return [event for record in records if (event := read(encode_engagement(record))) is not None]


def said(event: Event) -> str:
    return json.dumps(wire_fields(event)).lower()


@pytest.mark.parametrize("acceptance", ["after-relay", "spool"])
async def test_a_hash_stands_wherever_the_recipient_would(begin: Begin, acceptance: str) -> None:
    harness = await begin(**TRACKED, **{"privacy.recipients": "hashed", "spool.acceptance": acceptance})
    harness.hop.answers[BOB] = Reply(550, "5.1.1", f"<{BOB}> is unknown, and so is ann.somebody@people.example")
    await harness.receive([ANN, BOB], content().replace(b'"name": "', b'"name": "no '), sender=VERP)
    if acceptance == "spool":
        await harness.retry_until_empty()
    assert harness.privacy.recipients is not None
    hashed = harness.privacy.recipients.hashed
    events = harness.events()
    assert {event.type.name for event in events} == {"INJECTION", "DELIVERY", "BOUNCE"}
    ((recipient, copy),) = [taken for taken in harness.hop.taken if taken[0] == ANN]
    assert recipient == ANN, "the mail itself goes where it always went"
    events += followed(harness, copy)
    assert {event.rcpt_to for event in events} == {hashed(ANN), hashed(BOB)}
    assert {event.recipient_domain for event in events} == {"people.example", "elsewhere.example"}
    for event in events:
        assert event.raw_rcpt_to == event.rcpt_to
        without_metadata = said(event).replace(ANN.lower(), "")
        assert "somebody" not in without_metadata
        assert "bob@" not in without_metadata
    (bounce,) = [event for event in events if event.type.name == "BOUNCE"]
    assert bounce.raw_reason == f"550 5.1.1 <{hashed(BOB)}> is unknown, and so is {hashed(ANN)}"
    assert bounce.friendly_from == f"News <bounces+{hashed(ANN).replace('@', '=')}@list.example>"
    assert bounce.msg_from == f"bounces+{hashed(ANN).replace('@', '=')}@list.example"


async def test_a_bounce_report_to_the_sender_still_names_the_recipient(begin: Begin) -> None:
    harness = await begin(**{"privacy.recipients": "hashed"})
    harness.hop.answers[BOB] = Reply(550, "5.1.1", "unknown")
    await harness.receive([ANN, BOB], content(), sender="news@sender.example")
    await harness.retry_until_empty()
    (report,) = [taken for recipient, taken in harness.hop.taken if recipient == "news@sender.example"]
    assert f"Final-Recipient: rfc822; {BOB}".encode() in report


@pytest.mark.parametrize("acceptance", ["after-relay", "spool"])
@pytest.mark.parametrize("recipients", [[ANN], [ANN, BOB]])
async def test_no_event_of_an_anonymous_copy_says_whose_it_is(
    begin: Begin, acceptance: str, recipients: list[str]
) -> None:
    harness = await begin(**TRACKED, **{"spool.acceptance": acceptance})
    harness.hop.answers[BOB] = Reply(550, "5.1.1", f"<{BOB}> is unknown")
    await harness.receive(recipients, content("anonymous"), sender=VERP)
    if acceptance == "spool":
        await harness.retry_until_empty()
    (copy,) = [taken for recipient, taken in harness.hop.taken if recipient == ANN]
    clicks = followed(harness, copy)
    (left,) = [event for event in clicks if event.type.name == "LIST_UNSUBSCRIBE"]
    clicks.remove(left)
    events = harness.events()
    assert len(events) == 2 * len(recipients)
    for event in [*events, *clicks]:
        assert (event.rcpt_to, event.raw_rcpt_to, event.recipient_domain, event.routing_domain) == ("", "", "", "")
        assert not any(piece in said(event) for piece in (*PIECES, "elsewhere"))
        assert event.campaign_id == "c"
        assert event.friendly_from in ("", "News <bounces+@list.example>")
    assert {event.transmission_id for event in [*events, *clicks]} == {clicks[0].transmission_id}
    assert not {event.message_id for event in events} & {event.message_id for event in clicks}
    # Who leaves the list says so by name; then nothing may lead from there to the clicks.
    assert left.rcpt_to == ANN.lower()
    assert (left.transmission_id, left.message_id, left.rcpt_meta) == (0, "", {})


async def test_what_policy_refuses_of_an_anonymous_message_names_nobody(begin_with_policy: Begin) -> None:
    source = (
        "def validate_data_spool(message, accept, context):\n"
        "    return refuse(554, '5.7.1 not for ann.somebody@people.example')\n"
    )
    harness = await begin_with_policy(source)
    await harness.receive([ANN], content("anonymous"), sender=VERP)
    (event,) = harness.events()
    assert event.type.name == "POLICY_REJECTION"
    assert not any(piece in said(event) for piece in PIECES)
