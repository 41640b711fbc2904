from __future__ import annotations

import email
import re
from collections import Counter
from pathlib import Path

import pytest

from mailwake.events.model import EventType
from mailwake.flows.answers import reply_for_none_taken
from mailwake.links.body import HONEYPOT_NAME
from mailwake.links.tracked_url import parse_url
from mailwake.relay.delivery import Outcome, Status
from mailwake.smtp.replies import Reply

from .conftest import Begin
from .message_harness import MessageHarness

ANN, BOB, CY = "ann@a.example", "Bob@B.example", "cy@c.example"
TRACKED = (
    b'From: "The Shop" <shop@sender.example>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n'
    b'X-MSYS-API: {"options" : {"open_tracking" : true, "click_tracking" : true},\r\n'
    b'   "campaign_id" : "spring", "tags" : ["a", "b"], "metadata" : {"k" : "v"}}\r\n'
    b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<html><body><a href="https://www.example.org/?a=1&amp;b=2" data-msys-linkname="one">x</a>'
    b'<a href="https://www.example.org/leave" data-msys-unsubscribe="1">y</a></body></html>\r\n'
)
PLAIN = b"Subject: nothing to track\r\n\r\nhello\r\n"
LATER = Reply(450, "4.2.1", "mailbox busy")
NEVER = Reply(550, "5.1.1", "no such user")


def _links(content: bytes) -> list[str]:
    return [url.decode() for url in re.findall(rb'"(http://localhost:8080/[fqo]/[^"]*)"', content)]


def _types(harness: MessageHarness) -> Counter[str]:
    return Counter(event.type.wire_name for event in harness.events())


async def test_each_recipient_gets_a_copy_with_links_of_its_own(begin: Begin) -> None:
    harness = await begin()
    reply = await harness.receive([ANN, BOB], TRACKED)
    assert str(reply).startswith("250 2.0.0 OK ")
    copies = dict(harness.hop.taken)
    assert set(copies) == {ANN, BOB}
    assert not set(_links(copies[ANN])) & set(_links(copies[BOB]))
    for recipient, content in copies.items():
        assert len(_links(content)) == 4
        for url in _links(content):
            path = parse_url(url)
            assert path is not None
            context = harness.codec.decode(path.token, path.family).context
            assert context.recipient == recipient
            assert (context.campaign_id, context.tags, context.metadata) == ("spring", ("a", "b"), '{"k":"v"}')
            assert str(context.transmission_id) == reply.text.split()[1]


async def test_the_header_never_leaves_and_the_copy_carries_a_trace(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN], TRACKED)
    ((_, content),) = harness.hop.taken
    parsed = email.message_from_bytes(content)
    assert parsed["X-MSYS-API"] is None
    assert re.search(r"from client\.example \(\[192\.0\.2\.7\]\)\s+by mailwake\.example with ESMTP", parsed["Received"])
    assert BOB.encode() not in content


async def test_untracked_mail_is_the_same_to_the_byte_behind_the_trace_field(begin: Begin) -> None:
    harness = await begin()
    odd = b"Subject:  odd \r\n\tfolding\r\nx-msys-api: {}\r\nX: =?utf-8?q?=zz?=\r\n\r\n"
    odd += b"http://a.example/ \t\r\n..dots\r\n\xff\r\n"
    await harness.receive([ANN], odd)
    ((_, content),) = harness.hop.taken
    trace = re.match(rb"Received: [^\r]*\r\n(?:\t[^\r]*\r\n)*", content)
    assert trace
    assert content[trace.end() :] == odd.replace(b"x-msys-api: {}\r\n", b"")


async def test_without_trace_header_nothing_at_all_is_added(begin: Begin) -> None:
    harness = await begin(trace_header="false")
    await harness.receive([ANN], PLAIN)
    assert harness.hop.taken == [(ANN, PLAIN)]


async def test_a_message_that_arrives_signed_is_left_alone_and_counted(begin: Begin) -> None:
    signed = b"DKIM-Signature: v=1; d=sender.example; b=x\r\n" + TRACKED
    harness = await begin(trace_header="false")
    await harness.receive([ANN], signed)
    ((_, content),) = harness.hop.taken
    field = TRACKED[TRACKED.index(b"X-MSYS-API") : TRACKED.index(b"MIME-Version")]
    assert content == signed.replace(field, b"")
    assert harness.metrics.counter("messages_signed_total", "skipped").value == 1
    (injection, _) = harness.events()
    assert (injection.open_tracking, injection.click_tracking) == (False, False)


async def test_links_are_counted_as_tracked_only_where_clicks_are(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN], TRACKED.replace(b'"click_tracking" : true', b'"click_tracking" : false'))
    assert harness.metrics.counter("links_tracked_total").value == 0
    await harness.receive([ANN], TRACKED)
    assert harness.metrics.counter("links_tracked_total").value == 2


async def test_a_message_that_arrives_signed_is_tracked_where_the_site_says_so(begin: Begin) -> None:
    harness = await begin(on_signed="track")
    await harness.receive([ANN], b"DKIM-Signature: v=1; d=sender.example; b=x\r\n" + TRACKED)
    ((_, content),) = harness.hop.taken
    assert len(_links(content)) == 4
    assert b"DKIM-Signature: v=1; d=sender.example; b=x\r\n" in content
    assert harness.metrics.counter("messages_signed_total", "tracked").value == 1


async def test_events_of_a_taken_message(begin: Begin) -> None:
    harness = await begin()
    session = harness.session()
    session.context.set("mo_customer_id", "customer-42")
    await harness.receive([ANN, BOB], TRACKED, session=session)
    events = harness.events()
    assert Counter(e.type for e in events) == {EventType.INJECTION: 2, EventType.DELIVERY: 2}
    assert len({e.event_id for e in events}) == 4
    assert {e.message_id for e in events} == {f"{events[0].transmission_id:016x}000{n}" for n in (0, 1)}
    injection = next(e for e in events if e.type is EventType.INJECTION and e.raw_rcpt_to == BOB)
    assert (injection.rcpt_to, injection.recipient_domain) == ("bob@b.example", "b.example")
    assert (injection.subject, injection.friendly_from) == ("Grüße", '"The Shop" <shop@sender.example>')
    assert (injection.sending_domain, injection.msg_from) == ("sender.example", "news@sender.example")
    assert (injection.customer_id, injection.campaign_id, injection.rcpt_meta) == ("customer-42", "spring", {"k": "v"})
    assert (injection.msg_size, injection.open_tracking, injection.initial_pixel) == (len(TRACKED), True, True)


@pytest.mark.parametrize("answer", [NEVER, LATER, Reply(452, "4.3.1", "disk full"), Reply(554, "", "no")])
async def test_a_single_copy_that_is_not_taken_gets_the_hops_own_reply_and_no_event(
    begin: Begin, answer: Reply
) -> None:
    harness = await begin()
    harness.hop.answers[ANN] = answer
    assert await harness.receive([ANN], TRACKED) == answer
    assert harness.events() == []
    assert harness.spool.count() == 0


async def test_none_taken_with_one_deferred_asks_the_sender_to_try_again(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {ANN: NEVER, BOB: LATER}
    assert await harness.receive([ANN, BOB], TRACKED) == LATER
    assert harness.spool.count() == 0
    assert harness.events() == []


async def test_a_deferred_copy_is_spooled_and_delivered_later_with_the_same_links(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {BOB: LATER}
    assert (await harness.receive([ANN, BOB, CY], TRACKED)).code == 250
    assert sorted(recipient for recipient, _ in harness.hop.taken) == [ANN, CY]
    assert harness.spool.count() == 1
    assert _types(harness) == {"injection": 3, "delivery": 2, "delay": 1}
    harness.hop.answers = {}
    await harness.retry_until_empty()
    assert sorted(recipient for recipient, _ in harness.hop.taken) == [BOB, ANN, CY]
    late = dict(harness.hop.taken)[BOB]
    for url in _links(late):
        path = parse_url(url)
        assert path is not None
        assert harness.codec.decode(path.token, path.family).context.recipient == BOB
    assert _types(harness) == {"injection": 3, "delivery": 3, "delay": 1}
    delivery = harness.events()[-1]
    assert (delivery.type, delivery.raw_rcpt_to, delivery.num_retries) == (EventType.DELIVERY, BOB, 1)
    assert harness.hop.asked.count(ANN) == 1


async def test_a_refused_copy_bounces_to_the_sender_when_others_were_taken(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {BOB: NEVER}
    assert (await harness.receive([ANN, BOB], TRACKED)).code == 250
    assert _types(harness) == {"injection": 2, "delivery": 1, "bounce": 1}
    bounce = next(event for event in harness.events() if event.type is EventType.BOUNCE)
    assert (bounce.raw_rcpt_to, bounce.error_code, "no such user" in bounce.raw_reason) == (BOB, 550, True)
    await harness.retry_until_empty()
    recipient, report = harness.hop.taken[-1]
    assert recipient == "news@sender.example"
    parsed = email.message_from_bytes(report)
    assert parsed.get_content_type() == "multipart/report"
    parts = parsed.get_payload()
    assert isinstance(parts, list)
    status = str(parts[1])
    assert "Final-Recipient: rfc822; Bob@B.example" in status
    assert "Status: 5.1.1" in status
    assert b"X-MSYS-API" not in report


async def test_the_null_sender_never_gets_a_bounce(begin: Begin) -> None:
    harness = await begin()
    harness.hop.answers = {BOB: NEVER}
    assert (await harness.receive([ANN, BOB], PLAIN, sender="")).code == 250
    assert harness.spool.count() == 0


async def test_a_next_hop_that_is_down_gives_451_and_nothing_is_kept(begin: Begin) -> None:
    harness = await begin()
    await harness.hop.stop()
    reply = await harness.receive([ANN, BOB, CY], TRACKED)
    assert (reply.code, reply.enhanced) == (451, "4.4.1")
    assert harness.spool.count() == 0
    assert harness.events() == []


async def test_a_thousand_recipients_each_get_their_copy(begin: Begin) -> None:
    harness = await begin()
    recipients = [f"r{number}@c.example" for number in range(1000)]
    assert (await harness.receive(recipients, TRACKED)).code == 250
    assert sorted(recipient for recipient, _ in harness.hop.taken) == sorted(recipients)
    assert len({url for _, content in harness.hop.taken for url in _links(content)}) == 4000


async def test_a_refused_header_reaches_nobody_and_leaves_no_event(begin: Begin) -> None:
    harness = await begin()
    message = TRACKED.replace(b'{"k" : "v"}', b'"no object"')
    reply = await harness.receive([ANN], message)
    assert str(reply) == "550 5.6.0 X-MSYS-API 'metadata' must be of type 'json object'"
    assert harness.hop.asked == []
    assert harness.events() == []


async def test_a_looping_message_is_refused(begin: Begin) -> None:
    harness = await begin()
    reply = await harness.receive([ANN], b"Received: from a by b\r\n" * 100 + PLAIN)
    assert (reply.code, reply.enhanced) == (554, "5.4.6")
    assert harness.hop.asked == []


async def test_ids_that_cannot_be_reserved_defer_the_message(begin: Begin, tmp_path: Path) -> None:
    harness = await begin()

    def no_disk(mark: int) -> None:
        raise OSError("no space")

    harness.flow._preparation._ids._reserve = no_disk  # the disk fails from now on
    reply = await harness.receive([ANN], PLAIN)
    assert str(reply) == "421 4.3.3 [internal] smtpapi unable to generate unique transmission id"
    assert harness.hop.asked == []


async def test_a_hidden_link_for_machines_where_the_site_wants_one(begin: Begin) -> None:
    harness = await begin(honeypot_link="true")
    named = TRACKED.replace(b'"one"', b'"mailwake:honeypot"')
    await harness.receive([ANN], named)
    content = harness.hop.taken[0][1]
    paths = [parse_url(url) for url in _links(content)]
    links = [harness.codec.decode(path.token, path.family) for path in paths if path is not None]
    assert [(link.kind.name, link.name, link.target) for link in links if link.target] == [
        ("CLICK", "Raw URL", "https://www.example.org/?a=1&b=2"),  # a sender cannot take the name
        ("LINK_UNSUBSCRIBE", "Raw URL", "https://www.example.org/leave"),
        ("CLICK", HONEYPOT_NAME, "http://localhost:8080/"),
    ]
    assert b'style="display:none;mso-hide:all" tabindex="-1" aria-hidden="true"></a>' in content.split(b"<a ")[-1]
    assert {link.context.recipient for link in links} == {ANN}


async def test_no_hidden_link_where_clicks_are_not_tracked(begin: Begin) -> None:
    harness = await begin(honeypot_link="true")
    await harness.receive([ANN], TRACKED.replace(b'"click_tracking" : true', b'"click_tracking" : false'))
    assert b"display:none" not in harness.hop.taken[0][1]


async def test_metadata_can_stay_out_of_click_links(begin: Begin) -> None:
    harness = await begin(click_tracking_include_metadata="false")
    await harness.receive([ANN], TRACKED)
    found = set()
    for url in _links(harness.hop.taken[0][1]):
        path = parse_url(url)
        assert path is not None
        found.add((path.family, harness.codec.decode(path.token, path.family).context.metadata))
    assert found == {("f", ""), ("q", '{"k":"v"}'), ("o", '{"k":"v"}')}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([(Status.REFUSED, NEVER)], NEVER),
        ([(Status.REFUSED, NEVER), (Status.DEFERRED, LATER)], LATER),
        ([(Status.DEFERRED, Reply(421, "4.3.2", "closing"))], Reply(451, "4.3.2", "closing")),
        (
            [(Status.DEFERRED, Reply(354, "", "odd"))],
            Reply(451, "4.3.0", "The next hop did not take the message, try again later"),
        ),
    ],
)
def test_the_reply_when_no_copy_was_taken(statuses: list[tuple[Status, Reply]], expected: Reply) -> None:
    assert reply_for_none_taken([Outcome(status, reply, "hop:25", "rcpt") for status, reply in statuses]) == expected
