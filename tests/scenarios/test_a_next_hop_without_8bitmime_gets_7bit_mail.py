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


def test_an_operator_who_knows_better_has_it_sent_as_it_is(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink("-8")
    service = start_mailwake("--next-hop", sink.address, "--set", "relay.without_8bitmime=send")
    service.send("a@sender.example", ["r@example.org"], SIGNED)
    wait_until(sink.messages, "the copy is at the sink")
    assert b"Gr\xc3\xbc\xc3\x9fe\n" in sink.messages()[0][1]


def test_what_comes_as_binarymime_arrives_as_lines(
    start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink]
) -> None:
    sink = start_sink()  # it offers 8BITMIME, and neither CHUNKING nor BINARYMIME
    service = start_mailwake("--next-hop", sink.address, "--set", "tracking_domain=t.example")
    html = NEWSLETTER.replace(b"8bit", b"binary").replace(b"<html><body>", b"<html>\n<body>\n")
    image = b"\x89PNG\r\n\x1a\n\0\r\n.\n"
    image_head = b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    content = html.removesuffix(b"--b--\r\n") + image_head + image + b"\r\n--b--\r\n"
    with service.client() as client:
        client.ehlo()
        assert client.has_extn("binarymime")
        assert client.docmd("MAIL", "FROM:<shop@sender.example> BODY=BINARYMIME")[0] == 250
        assert client.docmd("RCPT", "TO:<a@example.org>")[0] == 250
        client.send(b"BDAT %d LAST\r\n%b" % (len(content), content))
        assert client.getreply()[0] == 250
    wait_until(sink.messages, "the copy is at the sink")
    message = email.message_from_bytes(sink.messages()[0][1])
    _, _, html_part, image_part = message.walk()
    assert message["Content-Transfer-Encoding"] == "8bit"
    assert image_part.get_payload(decode=True) == b"\x89PNG\r\n\x1a\n\0\r\n.\n"
    assert b"http://t.example/f/" in bytes(html_part.get_payload(decode=True))
    assert bytes(html_part.get_payload(decode=True)).startswith(b"<html>\n<body><img")
