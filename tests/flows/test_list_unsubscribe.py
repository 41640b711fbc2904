"""The List-Unsubscribe field that copies get: who asks for it, who is left alone, and what its link carries."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from email.parser import BytesHeaderParser

import pytest

from mailwake.links.token import Link, LinkKind
from mailwake.links.tracked_url import parse_url

from .message_harness import MessageHarness

Begin = Callable[..., Awaitable[MessageHarness]]
ANN, BOB = "Ann@a.example", "bob@b.example"
DOMAIN = "links.example"
BODY = b"Content-Type: text/plain\r\n\r\nHello\r\n"
OWN = b"List-Unsubscribe: <https://shop.example/leave>\r\n"


@pytest.fixture
async def asked(begin: Begin) -> MessageHarness:
    return await begin(list_unsubscribe="true", tracking_domain=DOMAIN)


def url_of(content: bytes) -> str:
    header = BytesHeaderParser().parsebytes(content)
    assert header.get_all("List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
    (field,) = header.get_all("List-Unsubscribe", [])
    found = re.fullmatch(r"<(https://[^>]*)>(,\s+<mailto:[^>]*>)?", field)
    assert found, field
    return str(found[1])


def link_of(harness: MessageHarness, content: bytes) -> Link:
    url = url_of(content)
    assert url.startswith(f"https://{DOMAIN}/u/"), "https whatever the scheme of clicks (RFC 8058 §3.1)"
    path = parse_url(url)
    assert path is not None
    return harness.codec.decode(path.token, path.family)


async def only_copy(harness: MessageHarness, content: bytes, **variables: str) -> bytes:
    session = harness.session()
    for name, value in variables.items():
        session.message_context.set(name, value)
    reply = await harness.receive([ANN], content, session=session)
    assert reply.is_positive, str(reply)
    ((_, copy),) = harness.hop.taken
    harness.hop.taken.clear()
    return copy


def msys(**options: bool) -> bytes:
    inside = ", ".join(f'"{name}": {str(value).lower()}' for name, value in options.items())
    return b'X-MSYS-API: {"options": {' + inside.encode() + b"}}\r\n"


async def test_each_recipient_has_a_link_of_its_own_and_the_body_stays(asked: MessageHarness) -> None:
    header = b'Subject: x\r\nX-MSYS-API: {"campaign_id": "c", "tags": ["t"], "metadata": {"k": "v"}}\r\n'
    await asked.receive([ANN, BOB], header + BODY)
    copies = dict(asked.hop.taken)
    injected = {event.raw_rcpt_to: event.message_id for event in asked.events() if event.type.name == "INJECTION"}
    for recipient in (ANN, BOB):
        link = link_of(asked, copies[recipient])
        assert (link.kind, link.target) == (LinkKind.LIST_UNSUBSCRIBE, "")
        context = link.context
        assert (context.recipient, context.message_id) == (recipient, injected[recipient])
        assert (context.campaign_id, context.tags, context.metadata) == ("c", ("t",), '{"k":"v"}')
        assert copies[recipient].endswith(b"Subject: x\r\n" + BODY)
        assert copies[recipient].startswith(b"Received:"), "what is added stands behind the trace, before all else"


async def test_it_is_off_by_default(begin: Begin) -> None:
    assert b"List-Unsubscribe" not in await only_copy(await begin(), BODY)


@pytest.mark.parametrize("own", [OWN, b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"])
async def test_a_senders_own_is_never_touched(asked: MessageHarness, own: bytes) -> None:
    copy = await only_copy(asked, own + BODY, smtpapi_list_unsubscribe="1")
    assert copy.endswith(own + BODY)
    assert copy.count(b"List-Unsubscribe") == own.count(b"List-Unsubscribe")


@pytest.mark.parametrize(
    ("setting", "header", "variable", "added"),
    [
        ("true", msys(list_unsubscribe=False), None, False),
        ("false", msys(list_unsubscribe=True), None, True),
        ("false", msys(list_unsubscribe=True), "false", False),
        ("false", b"", "1", True),
        ("true", msys(transactional=True), None, False),
        ("true", msys(transactional=False), None, True),
        ("false", msys(transactional=True, list_unsubscribe=True), None, True),
        ("true", msys(transactional=True), "1", True),
    ],
)
async def test_variable_before_header_before_setting(
    begin: Begin, setting: str, header: bytes, variable: str | None, *, added: bool
) -> None:
    harness = await begin(list_unsubscribe=setting)
    variables = {} if variable is None else {"smtpapi_list_unsubscribe": variable}
    assert (b"List-Unsubscribe" in await only_copy(harness, header + BODY, **variables)) is added


async def test_a_value_that_is_no_boolean_is_refused_by_name(asked: MessageHarness) -> None:
    session = asked.session()
    session.message_context.set("smtpapi_list_unsubscribe", "sometimes")
    reply = await asked.receive([ANN], BODY, session=session)
    assert str(reply) == "550 5.6.0 smtpapi_list_unsubscribe context must be of type 'boolean'"
    reply = await asked.receive([ANN], b'X-MSYS-API: {"options": {"list_unsubscribe": "yes"}}\r\n' + BODY)
    assert str(reply) == "550 5.6.0 X-MSYS-API 'options.list_unsubscribe' must be of type 'boolean'"


SIGNED = b"DKIM-Signature: v=1; d=a.example; s=s; h=from; bh=x; b=x\r\n"


@pytest.mark.parametrize(("on_signed", "added"), [("skip", False), ("track", True)])
async def test_a_message_that_arrives_signed(begin: Begin, on_signed: str, *, added: bool) -> None:
    harness = await begin(list_unsubscribe="true", on_signed=on_signed)
    assert (b"List-Unsubscribe" in await only_copy(harness, SIGNED + BODY)) is added


async def test_an_address_of_the_tracking_domain_stands_beside_the_link(begin: Begin) -> None:
    address = {f'tracking_domains."{DOMAIN}".unsubscribe_mailto': "leave@example.com"}
    harness = await begin(list_unsubscribe="true", tracking_domain=DOMAIN.upper(), **address)
    copy = await only_copy(harness, BODY)
    assert b">,\r\n\t<mailto:leave@example.com?subject=unsubscribe>\r\n" in copy


async def test_leaving_is_no_tracking_so_that_level_off_has_it_too(asked: MessageHarness) -> None:
    copy = await only_copy(asked, b'X-MSYS-API: {"options": {"tracking_level": "off"}}\r\n' + BODY)
    assert link_of(asked, copy).context.recipient == ANN


async def test_an_anonymous_copys_link_names_the_person_but_not_the_message(asked: MessageHarness) -> None:
    header = b'X-MSYS-API: {"campaign_id": "c", "metadata": {"k": 1}, "options": {"tracking_level": "anonymous"}}\r\n'
    context = link_of(asked, await only_copy(asked, header + BODY)).context
    assert (context.recipient, context.campaign_id, context.metadata) == (ANN, "c", "")
    assert (context.transmission_id, context.message_id, context.sent % 86_400) == (0, "0" * 16 + "ffff", 0)


async def test_what_makes_the_line_too_long_is_left_out(begin: Begin) -> None:
    harness = await begin(list_unsubscribe="true", tracking_domain=DOMAIN, max_metadata_len="4096")
    metadata = "".join(f'"{n:x}": "{n * 0x9E3779B97F4A7C15:x}", ' for n in range(1, 60))
    tags = ", ".join(f'"{n * 0x9E3779B97F4A7C15:x}{n}"' for n in range(1, 6))
    header = f'X-MSYS-API: {{"metadata": {{{metadata}"z": 0}}, "tags": [{tags}]}}\r\n'.encode()
    context = link_of(harness, await only_copy(harness, header + BODY)).context
    assert (len(context.tags), context.metadata, context.recipient) == (5, "", ANN)
    assert harness.metrics.counter("list_unsubscribe_failed_total").value == 0


async def test_what_cannot_be_made_short_enough_leaves_without(begin: Begin) -> None:
    customer = "".join(f"{n * 0x9E3779B97F4A7C15:x}" for n in range(1, 60))
    harness = await begin(list_unsubscribe="true")
    copy = await only_copy(harness, BODY, mo_customer_id=customer)
    assert b"List-Unsubscribe" not in copy
    assert copy.endswith(BODY)
    assert harness.metrics.counter("list_unsubscribe_failed_total").value == 1


async def test_tracked_links_and_the_field_come_together_from_the_spool_too(begin: Begin) -> None:
    tracking = {"click_tracking_enabled": "true", "open_tracking_enabled": "true", "spool.acceptance": "spool"}
    harness = await begin(list_unsubscribe="true", tracking_domain=DOMAIN, **tracking)
    body = b'Content-Type: text/html\r\n\r\n<a href="https://www.example.org/">x</a>\r\n'
    await harness.receive([ANN, BOB], body)
    await harness.retry_until_empty()
    for recipient, content in harness.hop.taken:
        assert link_of(harness, content).context.recipient == recipient
        assert b'<a href="http://links.example/f/' in content
