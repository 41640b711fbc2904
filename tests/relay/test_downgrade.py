"""Copies made fit for a next hop that does not offer 8BITMIME or BINARYMIME."""

from __future__ import annotations

import asyncio
import email
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Outcome, Status
from mailwake.relay.downgrade import Downgrade
from mailwake.relay.pool import SmartHost
from mailwake.relay.settings import RelaySettings
from mailwake.rewrite.transfer_conversion import ConversionImpossible

if TYPE_CHECKING:
    from mailwake.relay.settings import Without8BitMime
    from mailwake.smtp.envelope import BodyType

Hop = Any  # conftest.ScriptedHop; conftest modules cannot be imported under importlib mode
Settings = Callable[..., RelaySettings]
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
EIGHT_BIT = TEXT + "Viele schöne Grüße an alle\r\n".encode()
SEVEN_BIT = TEXT.replace(b"8bit", b"quoted-printable") + b"Viele sch=C3=B6ne Gr=C3=BC=C3=9Fe an alle\r\n"
SIGNED = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xc3\xa4\r\n--b\r\n\r\nsignature\r\n--b--\r\n"


class Case:
    """A `Downgrade`, and what it counts and logs."""

    def __init__(self, policy: Without8BitMime = "convert") -> None:
        self.metrics = Metrics()
        self.lines = structlog.testing.CapturingLogger()
        log: Any = structlog.wrap_logger(self.lines, processors=[])
        settings = RelaySettings("hop.example", without_8bitmime=policy)
        self.downgrade = Downgrade(settings, log=log, metrics=self.metrics)

    def needed(
        self, content: bytes, body: BodyType = "8BITMIME", *, eight_bit: bool = False, binary: bool = False
    ) -> bool:
        pieces = [content[:60], content[60:]]
        return self.downgrade.is_needed(body, pieces, eight_bit=eight_bit, binary=binary)

    async def fit(self, content: bytes, body: BodyType = "8BITMIME", *, eight_bit: bool = False) -> tuple[bytes, str]:
        copy = Copy("a@example.com", "b@example.org", [content[:60], content[60:]], body=body, route="r")
        fitting = await self.downgrade.fit(copy, eight_bit=eight_bit)
        assert (fitting.sender, fitting.recipient, fitting.route) == ("a@example.com", "b@example.org", "r")
        return b"".join(fitting.pieces), fitting.body

    def counted(self) -> dict[str, float]:
        rows = [row for row in self.metrics.snapshot() if row[0] == "copies_downgraded_total"]
        return {labels[0]: value for _, labels, value in rows if value}


def test_what_needs_it() -> None:
    case = Case()
    assert case.needed(EIGHT_BIT)
    assert case.needed(EIGHT_BIT, "7BIT")  # whatever was declared
    assert not case.needed(SEVEN_BIT)
    assert not case.needed(EIGHT_BIT, eight_bit=True)
    assert case.needed(SEVEN_BIT, "BINARYMIME", eight_bit=True)
    assert not case.needed(EIGHT_BIT, "BINARYMIME", binary=True)
    assert not Case("send").needed(EIGHT_BIT)
    assert Case("send").needed(SEVEN_BIT, "BINARYMIME", eight_bit=True)
    assert Case("refuse").needed(EIGHT_BIT)


async def test_eight_bit_content_becomes_seven_bit() -> None:
    case = Case()
    assert await case.fit(EIGHT_BIT) == (SEVEN_BIT.replace(b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\n\r\n"), "7BIT")
    assert case.counted() == {"7bit": 1}
    (call,) = case.lines.calls
    assert call.kwargs["event"] == "copy converted for the next hop"
    assert call.kwargs | {"to": "7bit", "encoded_parts": 1, "broken_signatures": []} == call.kwargs


@pytest.mark.parametrize(
    ("eight_bit", "policy", "to"),
    [(True, "convert", "8BITMIME"), (False, "convert", "7BIT"), (False, "send", "8BITMIME")],
)
async def test_binary_content_becomes_lines(eight_bit: bool, policy: Without8BitMime, to: str) -> None:
    case = Case(policy)
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + EIGHT_BIT
    content += b"\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\0\r\n--b--\r\n"
    converted, body = await case.fit(content, "BINARYMIME", eight_bit=eight_bit)
    assert body == to
    assert converted.isascii() == (to == "7BIT")
    assert b"Content-Transfer-Encoding: base64\r\n\r\nYQpiAA==\r\n" in converted
    assert case.counted() == {"7bit" if to == "7BIT" else "8bit": 1}


async def test_binary_that_is_lines_already_changes_its_name_alone() -> None:
    case = Case()
    assert await case.fit(SEVEN_BIT, "BINARYMIME", eight_bit=True) == (SEVEN_BIT, "7BIT")
    assert await case.fit(EIGHT_BIT, "BINARYMIME", eight_bit=True) == (EIGHT_BIT, "8BITMIME")
    assert case.counted() == {}


async def test_what_cannot_be_converted_is_refused() -> None:
    case = Case()
    with pytest.raises(ConversionImpossible) as raised:
        await case.fit(SIGNED)
    assert str(raised.value.reply).startswith("550 5.6.3 ")
    assert case.counted() == {"refused": 1}
    assert case.lines.calls[0].kwargs["reason"] == "the message is signed or encrypted"


async def test_the_settings_may_forbid_it() -> None:
    case = Case("refuse")
    with pytest.raises(ConversionImpossible, match="none is converted"):
        await case.fit(EIGHT_BIT)
    assert case.counted() == {"refused": 1}


async def test_signatures_that_fail_are_counted() -> None:
    case = Case()
    await case.fit(b"DKIM-Signature: v=1; d=a.example; h=from\r\n" + EIGHT_BIT)
    assert ("signatures_broken_total", (), 1.0) in case.metrics.snapshot()
    assert case.lines.calls[0].kwargs["broken_signatures"] == ["DKIM-Signature of a.example"]


async def test_large_content_lets_others_go_on() -> None:
    case = Case()
    text = "Viele schöne Grüße an alle, die das hier lesen\r\n".encode() * 20_000
    conversion = asyncio.ensure_future(case.fit(TEXT + text))
    turns = 0
    while not conversion.done():
        await asyncio.sleep(0)
        turns += 1
    converted, _ = await conversion
    assert turns > 3
    assert email.message_from_bytes(converted).get_payload(decode=True) == text


# Over sockets, by the pool


async def _delivered(settings: RelaySettings, *copies: Copy) -> list[Outcome]:
    host = SmartHost(settings, log=make_logger("json", "error"))
    outcomes = await asyncio.gather(*map(host.deliver, copies))
    await host.close()
    return list(outcomes)


def _copy(content: bytes, body: BodyType, number: int = 0) -> Copy:
    return Copy("a@a.example", f"r{number}@b.example", [content], body=body)


@pytest.mark.parametrize("extensions", ["PIPELINING SIZE", "", "PIPELINING CHUNKING SIZE"])
@pytest.mark.parametrize("body", ["7BIT", "8BITMIME"])
async def test_a_hop_without_8bitmime_gets_7bit_and_no_body_parameter(
    hop: Hop, settings_for: Settings, extensions: str, body: BodyType
) -> None:
    hop.extensions = extensions.split()
    (outcome,) = await _delivered(settings_for(), _copy(EIGHT_BIT, body))
    assert outcome.status is Status.DELIVERED
    ((_, _, content),) = hop.messages
    assert content == SEVEN_BIT.replace(b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\n\r\n")
    size = f" SIZE={len(content)}" if "SIZE" in extensions else ""
    assert f"MAIL FROM:<a@a.example>{size}" in hop.commands


async def test_a_hop_with_8bitmime_gets_it_as_it_is(hop: Hop, settings_for: Settings) -> None:
    await _delivered(settings_for(), _copy(EIGHT_BIT, "8BITMIME"))
    assert hop.messages[0][2] == EIGHT_BIT


async def test_a_hop_that_said_only_helo_gets_7bit(hop: Hop, settings_for: Settings) -> None:
    hop.always["EHLO"] = b"502 5.5.1 what?\r\n"
    await _delivered(settings_for(), _copy(EIGHT_BIT, "8BITMIME"))
    assert hop.messages[0][2].isascii()


BINARY = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\nMIME-Version: 1.0\r\n\r\n\x89PNG\n.\n\0\r"


@pytest.mark.parametrize(
    "extensions", ["8BITMIME", "PIPELINING 8BITMIME BINARYMIME", "8BITMIME CHUNKING", "PIPELINING CHUNKING", ""]
)
async def test_binary_content_becomes_base64(hop: Hop, settings_for: Settings, extensions: str) -> None:
    hop.extensions = extensions.split()
    (outcome,) = await _delivered(settings_for(), _copy(BINARY, "BINARYMIME"))
    assert outcome.status is Status.DELIVERED
    assert hop.messages[0][2].endswith(b"Encoding: base64\r\nMIME-Version: 1.0\r\n\r\niVBORwouCgAN\r\n")
    assert "MAIL FROM:<a@a.example>" in hop.commands


async def test_a_hop_with_binarymime_gets_it_as_it_is(hop: Hop, settings_for: Settings) -> None:
    hop.extensions = ["CHUNKING", "BINARYMIME"]
    await _delivered(settings_for(), _copy(BINARY, "BINARYMIME"))
    assert hop.messages[0][2] == BINARY
    assert "MAIL FROM:<a@a.example> BODY=BINARYMIME" in hop.commands


async def test_octets_in_a_header_go_as_they_are(hop: Hop, settings_for: Settings) -> None:
    hop.extensions = []
    content = "Subject: Grüße\r\n\r\nx\r\n".encode()
    await _delivered(settings_for(), _copy(content, "8BITMIME"))
    assert hop.messages[0][2] == content


async def test_one_that_cannot_be_converted_holds_up_no_other(hop: Hop, settings_for: Settings) -> None:
    hop.extensions = ["PIPELINING", "CHUNKING"]
    copies = [_copy(SIGNED if number == 2 else EIGHT_BIT, "8BITMIME", number) for number in range(5)]
    outcomes = await _delivered(settings_for(max_connections=1), *copies)
    assert [outcome.status for outcome in outcomes].count(Status.DELIVERED) == 4
    refused = outcomes[2]
    assert (refused.status, refused.reply.code, refused.reply.enhanced) == (Status.REFUSED, 550, "5.6.3")
    assert (refused.stage, refused.reason) == ("mail", "the message is signed or encrypted")
    assert sorted(recipient for _, recipient, _ in hop.messages) == [f"r{n}@b.example" for n in (0, 1, 3, 4)]


@pytest.mark.parametrize("policy", ["send", "refuse"])
async def test_what_the_operator_chose(hop: Hop, settings_for: Settings, policy: str) -> None:
    hop.extensions = []
    (outcome,) = await _delivered(settings_for(without_8bitmime=policy), _copy(EIGHT_BIT, "8BITMIME"))
    assert [content for _, _, content in hop.messages] == ([EIGHT_BIT] if policy == "send" else [])
    assert outcome.status is (Status.DELIVERED if policy == "send" else Status.REFUSED)
