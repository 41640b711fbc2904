"""Policy and messages: each recipient's copy by itself, the header as policy left it, refusals, discards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailwake.events.model import EventType
from mailwake.links.tracked_url import parse_url

from .conftest import BeginWithPolicy
from .message_harness import MessageHarness

ANN, BOB = "ann@a.example", "bob@b.example"
MESSAGE = (
    b"From: shop@sender.example\r\nX-Stream: news\r\nX-Stream: more\r\n"
    b'X-MSYS-API: {"campaign_id": "header", "tags": ["header"], "options": {"click_tracking": true}}\r\n'
    b'Content-Type: text/html\r\n\r\n<a href="https://www.example.org/">x</a>\r\n'
)


def context_of(harness: MessageHarness, content: bytes) -> object:
    url = re.search(rb'"(http[^"]*/f/a/[^"]*)"', content)
    assert url
    path = parse_url(url[1].decode())
    assert path is not None
    return harness.codec.decode(path.token, path.family).context


EACH = """
def validate_data_spool_each_rcpt(message, accept, context):
    context.set("smtpapi_campaign_id", "for " + message.routing_domain)
    if message.routing_domain == "b.example":
        context.set("smtpapi_click_tracking", "0")
    return CONT
"""


async def test_one_recipients_variables_never_reach_another(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(EACH)
    assert (await harness.receive([ANN, BOB], MESSAGE)).code == 250
    copies = dict(harness.hop.taken)
    context = context_of(harness, copies[ANN])
    assert (context.campaign_id, context.tags) == ("for a.example", ("header",))  # type: ignore[attr-defined]
    assert b'href="https://www.example.org/"' in copies[BOB]
    campaigns = {event.raw_rcpt_to: event.campaign_id for event in harness.events()}
    assert campaigns == {ANN: "for a.example", BOB: "for b.example"}


async def test_recipients_treated_alike_share_one_plan(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool_each_rcpt(message, accept, context):\n    context.set('x', message.rcptto)\n"
    )
    recipients = [f"r{number}@a.example" for number in range(20)]
    await harness.receive(recipients, MESSAGE)
    assert harness.metrics.counter("links_tracked_total").value == 1
    assert len(harness.hop.taken) == 20


async def test_a_message_variable_holds_for_all_its_recipients_and_for_no_other_message(
    begin_with_policy: BeginWithPolicy,
) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool(message, accept, context):\n"
        "    if message.header('X-Stream') == ['news', 'more']:\n        context.set('smtpapi_campaign_id', 'once')\n"
    )
    session = harness.session()
    await harness.receive([ANN, BOB], MESSAGE, session=session)
    assert {event.campaign_id for event in harness.events()} == {"once"}


async def test_connection_variables_hold_for_the_connection(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool(message, accept, context):\n    context.connection.set('mo_customer_id', '7')\n"
    )
    session = harness.session()
    await harness.receive([ANN], MESSAGE, session=session)
    assert session.context.get("mo_customer_id") == "7"
    assert {event.customer_id for event in harness.events()} == {"7"}


async def test_a_changed_header_is_the_one_that_counts_and_leaves(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool(message, accept, context):\n"
        "    message.set_header('X-MSYS-API', '{\"campaign_id\": \"policy\"}')\n"
        "    message.set_header('X-Stream', mode='delete')\n"
        "    message.set_header('X-Top', 'first', 'prepend')\n"
        "def validate_data_spool_each_rcpt(message, accept, context):\n"
        "    message.set_header('X-For', message.rcptto, 'append')\n",
    )
    await harness.receive([ANN, BOB], MESSAGE)
    for recipient, content in harness.hop.taken:
        header = content.partition(b"\r\n\r\n")[0]
        expected = (
            b"X-Top: first\r\nFrom: shop@sender.example\r\nContent-Type: text/html\r\nX-For: " + recipient.encode()
        )
        assert header == expected
    assert {event.campaign_id for event in harness.events()} == {"policy"}


@pytest.mark.parametrize("phase", ["validate_data", "validate_data_spool", "validate_data_spool_each_rcpt"])
async def test_a_refusal_reaches_the_client_and_nobody_else(begin_with_policy: BeginWithPolicy, phase: str) -> None:
    harness = await begin_with_policy(
        f"def {phase}(message, accept, context):\n    return refuse(550, '5.7.1 no campaign')\n"
    )
    reply = await harness.receive([ANN, BOB], MESSAGE)
    assert str(reply) == "550 5.7.1 no campaign"
    assert harness.hop.taken == []
    assert [event.type for event in harness.events()] == [EventType.POLICY_REJECTION] * 2
    assert harness.metrics.counter("policy_refusals_total", phase).value == 1


async def test_a_policy_that_fails_loses_nothing(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool_each_rcpt(message, accept, context):\n    raise KeyError(message.rcptto)\n"
    )
    assert str(await harness.receive([ANN], MESSAGE)) == "451 4.3.0 Policy failed, try again later"
    assert (harness.hop.taken, harness.events()) == ([], [])


async def test_a_variable_that_cannot_be_read_refuses_with_its_name(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool_each_rcpt(message, accept, context):\n    context.set('smtpapi_metadata', '{broken')\n"
    )
    reply = await harness.receive([ANN], MESSAGE)
    assert str(reply) == "550 5.6.0 smtpapi_metadata context must be of type 'json object'"
    assert harness.hop.taken == []


async def test_discarding(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool_each_rcpt(message, accept, context):\n"
        "    if message.rcptto.startswith('bob'):\n        message.discard('no bobs')\n"
    )
    assert (await harness.receive([ANN, BOB], MESSAGE)).code == 250
    assert [recipient for recipient, _ in harness.hop.taken] == [ANN]
    assert (await harness.receive([BOB], MESSAGE)).code == 250
    assert len(harness.hop.taken) == 1
    assert harness.metrics.counter("copies_discarded_total").value == 2
    assert {event.raw_rcpt_to for event in harness.events()} == {ANN}


async def test_policy_names_the_pathway(begin_with_policy: BeginWithPolicy, tmp_path: Path) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool_each_rcpt(message, accept, context):\n"
        "    if message.rcptto.startswith('ann'):\n        context.set('pathway', 'news')\n",
        **{"pathway.news.tracking_domain": "news.example"},
    )
    await harness.receive([ANN, BOB], MESSAGE)
    copies = dict(harness.hop.taken)
    assert b'"http://news.example/f/a/' in copies[ANN]
    assert b'"http://localhost:8080/f/a/' in copies[BOB]
    assert {event.raw_rcpt_to: event.pathway for event in harness.events()} == {ANN: "news", BOB: ""}


async def test_a_trusted_peer_is_told_the_decisions_in_the_copys_header(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy(
        "def validate_data_spool_each_rcpt(message, accept, context):\n"
        "    context.set('smtpapi_campaign_id', 'for (' + message.rcptto + ')')\n"
    )
    asked = b"X-Mailwake-Trace: 1\r\n" + MESSAGE
    session = harness.session()
    session.tracing = True
    await harness.receive([ANN, BOB], asked, session=session)
    for recipient, content in harness.hop.taken:
        header = content.partition(b"\r\n\r\n")[0].decode()
        assert header.startswith("X-Mailwake-Trace: 1\r\n\t(")
        assert header.count("X-Mailwake-Trace") == 1
        campaign = f"\t(campaign_id: for \\({recipient}\\); context smtpapi_campaign_id, set by policy.py:3)\r\n"
        assert campaign in header
        assert "\t(click_tracking: True; X-MSYS-API options.click_tracking)\r\n" in header
        assert "\t(line 1 html https://www.example.org/: tracked as Raw URL)" in header
        assert max(map(len, header.split("\r\n"))) < 998


async def test_others_are_told_nothing_and_their_field_stays(begin_with_policy: BeginWithPolicy) -> None:
    harness = await begin_with_policy("def validate_data(message, accept, context):\n    pass\n")
    await harness.receive([ANN], b"X-Mailwake-Trace: 1\r\n" + MESSAGE)
    ((_, content),) = harness.hop.taken
    assert content.startswith(b"X-Mailwake-Trace: 1\r\nFrom:")
