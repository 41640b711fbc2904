"""Copies made fit for a next hop that does not offer 8BITMIME or BINARYMIME."""

from __future__ import annotations

import asyncio
import email
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy
from mailwake.relay.downgrade import Downgrade
from mailwake.relay.settings import RelaySettings
from mailwake.rewrite.transfer_conversion import ConversionImpossible

if TYPE_CHECKING:
    from mailwake.relay.settings import Without8BitMime
    from mailwake.smtp.envelope import BodyType

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
