"""How much tracking knows: off, anonymous, identified; by header, variable, and the ceiling of the tracking domain."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mailwake.links.token import Link
from mailwake.links.tracked_url import parse_url

from .message_harness import MessageHarness

ANN, BOB = "ann@a.example", "bob@b.example"
Begin = Callable[..., Awaitable[MessageHarness]]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    started: list[MessageHarness] = []

    async def start(**overrides: str) -> MessageHarness:
        tracking = {"click_tracking_enabled": "true", "open_tracking_enabled": "true"}
        harness = MessageHarness(tmp_path, {**tracking, **overrides})
        await harness.start()
        started.append(harness)
        return harness

    yield start
    for harness in started:
        await harness.stop()


def message(level: str = "") -> bytes:
    options = f'"options": {{"tracking_level": "{level}"}}, ' if level else ""
    header = f'X-MSYS-API: {{{options}"campaign_id": "c", "tags": ["t"], "metadata": {{"name": "Ann"}}}}'
    return f'{header}\r\nContent-Type: text/html\r\n\r\n<a href="https://www.example.org/">x</a>\r\n'.encode()


def links(harness: MessageHarness, content: bytes) -> list[Link]:
    found = []
    for url in re.findall(rb'"(http://[^"]*/[fqo]/[^"]*)"', content):
        path = parse_url(url.decode())
        assert path is not None
        found.append(harness.codec.decode(path.token, path.family))
    return found


async def test_anonymous_links_name_nobody_and_are_the_same_for_all(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN, BOB], message("anonymous"))
    copies = dict(harness.hop.taken)
    bodies = {content.partition(b"\r\n\r\n")[2] for content in copies.values()}
    assert len(bodies) == 1
    found = links(harness, copies[ANN])
    assert len(found) == 3
    for link in found:
        context = link.context
        assert (context.recipient, context.metadata, context.message_id[16:]) == ("", "", "ffff")
        assert (context.campaign_id, context.tags) == ("c", ("t",))


async def test_identified_is_the_default(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN], message())
    ((_, content),) = harness.hop.taken
    assert {link.context.recipient for link in links(harness, content)} == {ANN}


async def test_off_tracks_nothing(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN], message("off"))
    ((_, content),) = harness.hop.taken
    assert b"https://www.example.org/" in content
    assert b"<img" not in content
    assert {(event.open_tracking, event.click_tracking) for event in harness.events()} == {(False, False)}


@pytest.mark.parametrize(
    ("ceiling", "asked", "recipients", "tracked"),
    [
        ("anonymous", "identified", {""}, 3),
        ("anonymous", "", {""}, 3),
        ("anonymous", "off", set(), 0),
        ("off", "anonymous", set(), 0),
        ("identified", "anonymous", {""}, 3),
    ],
)
async def test_the_ceiling_of_a_tracking_domain(
    begin: Begin, ceiling: str, asked: str, recipients: set[str], tracked: int
) -> None:
    domain = "links.example"
    harness = await begin(tracking_domain=domain, **{f'tracking_domains."{domain}".max_tracking_level': ceiling})
    await harness.receive([ANN], message(asked))
    ((_, content),) = harness.hop.taken
    found = links(harness, content)
    assert len(found) == tracked
    assert {link.context.recipient for link in found} == recipients


async def test_one_recipient_may_be_treated_otherwise(begin: Begin) -> None:
    harness = await begin()
    session = harness.session()
    session.message_context.set("smtpapi_tracking_level", "anonymous")
    await harness.receive([ANN], message("identified"), session=session)
    ((_, content),) = harness.hop.taken
    assert {link.context.recipient for link in links(harness, content)} == {""}


async def test_an_unknown_level_is_refused_by_name(begin: Begin) -> None:
    harness = await begin()
    session = harness.session()
    session.context.set("smtpapi_tracking_level", "some")
    reply = await harness.receive([ANN], message(), session=session)
    assert str(reply) == ("550 5.6.0 smtpapi_tracking_level context must be of type 'off, anonymous or identified'")
