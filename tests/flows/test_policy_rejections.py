"""What policy refuses for good leaves an event for each recipient, with the fields that could be read; else none."""

from __future__ import annotations

import pytest

from mailwake.events.model import Event, EventType
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.replies import Reply

from .conftest import BeginWithPolicy
from .message_harness import MessageHarness

ANN, BOB = "Ann@A.example", "bob@b.example"
MESSAGE = (
    b"From: Shop <shop@sender.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b'X-MSYS-API: {"campaign_id": "spring", "tags": ["a"], "metadata": {"k": 1}, '
    b'"options": {"click_tracking": true}}\r\n'
    b"\r\nhello\r\n"
)


def rejections(harness: MessageHarness) -> list[Event]:
    events = harness.events()
    assert {event.type for event in events} <= {EventType.POLICY_REJECTION}
    return events


@pytest.mark.parametrize("phase", ["validate_data", "validate_data_spool", "validate_data_spool_each_rcpt"])
async def test_a_refused_message_has_an_event_for_each_recipient(
    begin_with_policy: BeginWithPolicy, phase: str
) -> None:
    harness = await begin_with_policy(
        f"def {phase}(message, accept, context):\n"
        "    context.set('pathway', 'news')\n"
        "    return refuse(554, '5.7.1 not\\nthis')\n",
        **{"pathway.news.open_tracking_enabled": "true"},
    )
    session = harness.session()
    session.context.set("mo_customer_id", "42")
    reply = await harness.receive([ANN, BOB], MESSAGE, session=session)
    assert reply.code == 554
    assert harness.hop.taken == []
    ann, bob = rejections(harness)
    assert (ann.rcpt_to, ann.raw_rcpt_to, bob.rcpt_to) == (ANN.lower(), ANN, BOB)
    assert ann.transmission_id == bob.transmission_id
    assert ann.message_id != bob.message_id
    assert ann.event_id != bob.event_id
    # A context variable of one recipient is that recipient's alone.
    alone = phase.endswith("each_rcpt")
    assert (ann.pathway, ann.open_tracking) == (("", False) if alone else ("news", True))
    for event in (ann, bob):
        assert event.raw_reason == "554 5.7.1 not\nthis"
        assert event.reason == "554 5.7.1 not this"
        assert (event.error_code, event.bounce_class) == (554, 50)
        assert (event.customer_id, event.campaign_id, event.rcpt_tags, event.rcpt_meta) == (
            "42",
            "spring",
            ("a",),
            {"k": 1},
        )
        assert (event.friendly_from, event.sending_domain) == ("Shop <shop@sender.example>", "sender.example")
        assert (event.subject, event.msg_from, event.msg_size) == ("Grüße", "news@sender.example", len(MESSAGE))
        assert (event.click_tracking, event.node_name) == (True, "mailwake.example")
        assert event.injection_time
        assert (event.ip_address, event.delv_method, event.num_retries, event.queue_time) == ("", "", None, None)


async def test_a_header_that_cannot_be_read_leaves_out_what_it_would_have_said(
    begin_with_policy: BeginWithPolicy,
) -> None:
    harness = await begin_with_policy(
        "def validate_data(message, accept, context):\n    return refuse(550, '5.7.1 no')\n"
    )
    await harness.receive([ANN], b"X-MSYS-API: [1]\r\nSubject: s\r\n\r\n")
    (event,) = rejections(harness)
    assert (event.subject, event.campaign_id, event.click_tracking) == ("s", "", False)


async def test_what_is_refused_for_now_leaves_none(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(
        "def validate_data(message, accept, context):\n    return refuse(451, '4.7.1 later')\n"
    )
    assert (await harness.receive([ANN], MESSAGE)).code == 451
    await harness.rejections.of_recipient(harness.session(), Envelope("a@b"), ANN, Reply(450, "4.7.1", "later"))
    assert rejections(harness) == []


async def test_what_our_own_rules_refuse_leaves_none(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy("def validate_data(message, accept, context):\n    return CONT\n")
    assert (await harness.receive([ANN], b"X-MSYS-API: [1]\r\n\r\n")).code == 550
    assert rejections(harness) == []


async def test_a_recipient_refused_at_rcpt(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy("def validate_data(message, accept, context):\n    return CONT\n")
    session = harness.session()
    for recipient in (ANN, BOB):
        reply = Reply(550, "5.7.1", "not him")
        await harness.rejections.of_recipient(session, Envelope("s@sender.example", [ANN]), recipient, reply)
    ann, bob = rejections(harness)
    assert (ann.raw_rcpt_to, bob.raw_rcpt_to) == (ANN, BOB)
    assert ann.message_id != bob.message_id
    assert (bob.msg_from, bob.sending_domain, bob.msg_size) == ("s@sender.example", "sender.example", 0)
    assert harness.metrics.counter("events_total", "policy_rejection").value == 2
