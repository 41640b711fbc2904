"""smtplib → mailwake → smtp-sink without 8BITMIME: 8-bit mail arrives as 7-bit mail that says the same."""

from __future__ import annotations

import email
import smtplib
from collections.abc import Callable

import pytest

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

NEWSLETTER = (
    'X-MSYS-API: {"options": {"open_tracking": true, "click_tracking": true}}\r\n'
    "From: shop@sender.example\r\nSubject: Neues\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/alternative; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Viele schöne Grüße von uns: https://shop.example/de\r\n--b\r\n"
    "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    '<html><body>Für Sie: <a href="https://shop.example/">Schönes</a></body></html>\r\n--b--\r\n'
).encode()
SIGNED = (
    b"Content-Type: multipart/signed; boundary=b; micalg=x; protocol=y\r\n\r\n"
    b"--b\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
)


def test_newsletters_are_tracked_and_converted(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink("-8")
    service = start_mailwake("--next-hop", sink.address, "--set", "tracking_domain=t.example")
    with service.client() as client:
        for options in ((), ("BODY=8BITMIME",)):
            assert client.sendmail("shop@sender.example", ["a@example.org", "b@example.org"], NEWSLETTER, options) == {}
    wait_until(lambda: len(sink.messages()) == 4, "every copy is at the sink")
    for _, copy in sink.messages():
        assert copy.isascii()
        message = email.message_from_bytes(copy)
        _, text, html = (part.get_payload(decode=True) for part in message.walk())
        assert message["Content-Transfer-Encoding"] == "7bit"
        assert [part["Content-Transfer-Encoding"] for part in message.walk()][1:] == ["quoted-printable"] * 2
        assert bytes(text).startswith("Viele schöne Grüße von uns: ".encode())
        assert '>Für Sie: <a href="http://t.example/f/'.encode() in bytes(html)
        assert bytes(text).count(b"http://t.example/f/") == 1
        assert bytes(html).count(b"http://t.example/f/") == 1
        assert bytes(html).count(b"http://t.example/q/") == 1
    wait_until(lambda: service.metric("mailwake_copies_downgraded_total") == 4, "conversions are counted")
    assert '"copy converted for the next hop"' in service.log


def test_signed_8bit_mail_is_refused_and_its_sender_told_why(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    service = start_mailwake("--next-hop", start_sink("-8").address)
    with service.client() as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail("a@sender.example", ["r@example.org"], SIGNED)
    assert refused.value.smtp_code == 550
    assert refused.value.smtp_error == (
        b"5.6.3 Conversion required but not possible: the message is signed or encrypted"
    )
