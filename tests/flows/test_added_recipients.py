"""`cc`, `bcc`, `archive`, `transactional` and `ip_pool` of the header, from injection to the next hop."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mailwake.events.model import EventType
from mailwake.links.tracked_url import parse_url
from mailwake.policy.policies import ConfiguredPolicy
from mailwake.policy.python_host import PythonPolicy
from mailwake.smtp.replies import Reply

from .message_harness import MessageHarness

ANN, BOB = "ann@a.example", "bob@b.example"
LATER = Reply(450, "4.2.1", "mailbox busy")
Begin = Callable[..., Awaitable[MessageHarness]]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    started: list[MessageHarness] = []

    async def start(policy: str = "", **overrides: str) -> MessageHarness:
        tracking = {"trace_header": "false", "click_tracking_enabled": "true", "open_tracking_enabled": "true"}
        harness = MessageHarness(tmp_path, {**tracking, **overrides})
        if policy:
            (tmp_path / "policy.py").write_text(policy)
            harness.policy_hosts.append(ConfiguredPolicy(PythonPolicy(tmp_path / "policy.py")))
        await harness.start()
        started.append(harness)
        return harness

    yield start
    for harness in started:
        await harness.stop()


def message(header: dict[str, Any], *more: str) -> bytes:
    fields = ["From: shop@sender.example", f"To: {ANN}", *more, f"X-MSYS-API: {json.dumps(header)}"]
    fields += ["Content-Type: text/html", "", '<a href="https://www.example.org/">x</a>', ""]
    return "\r\n".join(fields).encode()


def header_of(content: bytes) -> str:
    return content.partition(b"\r\n\r\n")[0].decode()


def links(content: bytes) -> list[str]:
    return [url.decode() for url in re.findall(rb'"(http://localhost:8080/[^"]*)"', content)]


def whose(harness: MessageHarness, content: bytes) -> set[str]:
    found = set()
    for url in links(content):
        path = parse_url(url)
        assert path is not None
        found.add(harness.codec.decode(path.token, path.family).context.recipient)
    return found


async def test_every_list_gets_its_copies(begin: Begin) -> None:
    harness = await begin()
    header = {
        "cc": ["cc1@c.example", {"email": "cc2@c.example", "name": "Zwölf, C"}],
        "bcc": ["bcc1@d.example", {"email": "bcc2@d.example"}],
        "archive": ["archive@e.example"],
    }
    assert (await harness.receive([ANN, BOB], message(header))).code == 250
    copies: dict[str, list[bytes]] = {}
    for recipient, content in harness.hop.taken:
        copies.setdefault(recipient, []).append(content)
    assert Counter({name: len(each) for name, each in copies.items()}) == {
        **dict.fromkeys((ANN, BOB, "cc1@c.example", "cc2@c.example", "bcc1@d.example", "bcc2@d.example"), 1),
        "archive@e.example": 2,
    }
    for recipient, contents in copies.items():
        for content in contents:
            shown = header_of(content)
            assert "Cc: cc1@c.example,\r\n\t=?utf-8?" in shown
            assert "X-MSYS-API" not in shown
            bccs = re.findall(r"bcc\d@d\.example", shown)
            assert bccs == ([recipient] if recipient.startswith("bcc") else [])
            assert "archive@e.example" not in shown
    for recipient in (ANN, BOB, "cc1@c.example", "bcc2@d.example"):
        assert whose(harness, copies[recipient][0]) == {recipient}
    archived = copies["archive@e.example"]
    assert sorted(links(content) for content in archived) == sorted(links(copies[name][0]) for name in (ANN, BOB))
    types = {(event.raw_rcpt_to, event.rcpt_type) for event in harness.events()}
    assert {kind for name, kind in types if name in (ANN, BOB)} == {""}
    assert {kind for name, kind in types if name.startswith("cc")} == {"cc"}
    assert {kind for name, kind in types if name.startswith("bcc")} == {"bcc"}
    assert {kind for name, kind in types if name.startswith("archive")} == {"archive"}
    ids = [event.message_id for event in harness.events() if event.type.wire_name == "injection"]
    assert len(ids) == len(set(ids)) == 8


async def test_a_later_attempt_knows_the_type_of_its_recipient(begin: Begin) -> None:
    harness = await begin()
    late = ["cc@c.example", "bcc@d.example", "archive@e.example"]
    harness.hop.answers = dict.fromkeys([*late, BOB], LATER)
    header = {"cc": [late[0]], "bcc": [late[1]], "archive": [late[2]]}
    assert (await harness.receive([ANN, BOB], message(header))).code == 250
    harness.hop.answers = {}
    await harness.retry_until_empty()
    delivered = {
        (event.raw_rcpt_to, event.rcpt_type, event.num_retries)
        for event in harness.events()
        if event.type is EventType.DELIVERY
    }
    assert delivered == {
        (ANN, "", 0),
        (BOB, "", 1),
        ("cc@c.example", "cc", 1),
        ("bcc@d.example", "bcc", 1),
        ("archive@e.example", "archive", 1),
    }


async def test_each_address_gets_one_copy(begin: Begin) -> None:
    harness = await begin()
    header = {
        "cc": [ANN, "c@C.example", "c@c.EXAMPLE"],
        "bcc": ["c@c.example", "d@d.example"],
        "archive": ["d@d.example"],
    }
    await harness.receive([ANN], message(header))
    assert sorted(recipient for recipient, _ in harness.hop.taken) == [ANN, "c@C.example", "d@d.example"]


async def test_a_cc_field_that_is_there_is_added_to(begin: Begin) -> None:
    harness = await begin()
    await harness.receive(
        [ANN], message({"cc": ["new@c.example"]}, 'Cc: "Old, One" <old@c.example>,\r\n new@C.example')
    )
    for _, content in harness.hop.taken:
        assert re.findall(r"(?im)^cc:[^\r]*(?:\r\n[ \t][^\r]*)*", header_of(content)) == [
            'Cc: "Old, One" <old@c.example>,\r\n\tnew@C.example'
        ]


async def test_without_lists_the_cc_field_stays_as_it_was(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN], message({"tags": ["cc"], "bcc": ["x@y.example"]}, "CC :  odd ;<x@y>"))
    assert all("CC :  odd ;<x@y>\r\n" in header_of(content) + "\r\n" for _, content in harness.hop.taken)


async def test_added_recipients_are_put_to_policy_and_archives_follow_their_original(begin: Begin) -> None:
    harness = await begin(
        "def validate_data_spool_each_rcpt(message, accept, context):\n"
        "    context.set('smtpapi_campaign_id', message.rcptto)\n"
        "    if message.rcptto.startswith('bob'):\n        message.discard('no')\n"
    )
    await harness.receive([BOB, ANN], message({"cc": ["c@c.example"], "archive": ["a@e.example"]}))
    assert sorted(recipient for recipient, _ in harness.hop.taken) == ["a@e.example", ANN, "c@c.example"]
    campaigns = {event.raw_rcpt_to: event.campaign_id for event in harness.events()}
    assert campaigns == {ANN: ANN, "c@c.example": "c@c.example", "a@e.example": ANN}


@pytest.mark.parametrize(
    ("header", "reply"),
    [
        ({"cc": "c@c.example"}, "550 5.6.0 X-MSYS-API 'cc' must be of type 'json array'"),
        ({"bcc": [1]}, "550 5.6.0 X-MSYS-API 'bcc' must hold strings, or objects with 'email' and 'name'"),
        (
            {"archive": [{"name": "x"}]},
            "550 5.6.0 X-MSYS-API 'archive' must hold strings, or objects with 'email' and 'name'",
        ),
        ({"cc": ["nobody"]}, "550 5.6.0 X-MSYS-API 'cc' holds what is no address"),
        ({"cc": ["a@b.example\r\nBcc: x@y.example"]}, "550 5.6.0 X-MSYS-API 'cc' holds what is no address"),
        (
            {"cc": [f"c{n}@c.example" for n in range(501)], "bcc": [f"b{n}@c.example" for n in range(500)]},
            "550 5.6.0 X-MSYS-API 'cc', 'bcc' and 'archive' are limited to 1000 addresses",
        ),
        ({"cc": ["zwölf@c.example"]}, "550 5.6.7 X-MSYS-API: addresses beyond ASCII need SMTPUTF8"),
        ({"options": {"transactional": 1}}, "550 5.6.0 X-MSYS-API 'options.transactional' must be of type 'boolean'"),
        (
            {"options": {"ip_pool": "a b"}},
            "550 5.6.0 X-MSYS-API 'options.ip_pool' must be 1 to 64 letters, digits, _ . or -",
        ),
        ({"options": {"ip_pool": 1}}, "550 5.6.0 X-MSYS-API 'options.ip_pool' must be of type 'string'"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(begin: Begin, header: dict[str, Any], reply: str) -> None:
    harness = await begin()
    assert str(await harness.receive([ANN], message(header))) == reply
    assert (harness.hop.taken, harness.events()) == ([], [])


async def test_a_thousand_added_recipients(begin: Begin) -> None:
    harness = await begin()
    header = {"bcc": [f"b{n}@d.example" for n in range(1000)]}
    assert (await harness.receive([ANN], message(header))).code == 250
    assert len({recipient for recipient, _ in harness.hop.taken}) == 1001


async def test_a_name_cannot_start_a_field_of_its_own(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN], message({"cc": [{"email": "c@c.example", "name": 'x"\r\nX-Evil: 1'}]}))
    assert all(
        "X-Evil" not in line[:6] for _, content in harness.hop.taken for line in header_of(content).split("\r\n")
    )


async def test_options_of_the_transmission(begin: Begin) -> None:
    harness = await begin(ip_pool_header="X-Pool")
    await harness.receive([ANN], message({"options": {"transactional": True, "ip_pool": "shared-1"}}))
    ((_, content),) = harness.hop.taken
    assert header_of(content).startswith("X-Pool: shared-1\r\n")
    assert {event.transactional for event in harness.events()} == {True}


async def test_a_pool_without_a_configured_field_goes_nowhere(begin: Begin) -> None:
    harness = await begin()
    await harness.receive([ANN], message({"options": {"ip_pool": "shared-1"}}))
    ((_, content),) = harness.hop.taken
    assert b"shared-1" not in content
    assert {event.transactional for event in harness.events()} == {False}
