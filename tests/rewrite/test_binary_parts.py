"""Parts that came as BINARYMIME (RFC 3030 §3): tracked with the line ends that they have, and then converted."""

from __future__ import annotations

import email

import pytest

from mailwake.message.mime_tree import parse
from mailwake.rewrite.body_encoding import Domain
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, make_plan
from mailwake.rewrite.transfer_conversion import convert

LINK = b'<a href="http://e.example/">'
TRACKED = b'<a href="http://t.example/f/a/x">'
PIXEL_URL = b"http://t.example/q/x"


def message(body: bytes, *others: bytes, content_type: str = "text/html; charset=utf-8") -> bytes:
    first = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: binary\r\n\r\n".encode() + body
    head = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    )
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in (first, *others)) + b"--b--\r\n"


def plan_of(content: bytes) -> MessagePlan:
    return make_plan(content, parse(content, crlf_only=True))


def tracked(content: bytes, url: bytes = b"http://t.example/f/a/x") -> bytes:
    plan = plan_of(content)
    assert len(plan.tracked) == 1
    return b"".join(render(plan, click_urls=[url], open_url=PIXEL_URL))


def without_pixel(copy: bytes) -> bytes:
    start = copy.index(b"<img")
    return copy[:start] + copy[copy.index(b">", start) + 1 :]


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r", b"\n\r", b"\r\r\n", b"\0\n"])
def test_line_ends_stay(line_break: bytes) -> None:
    body = line_break.join((b"<html><body>", "<p>Grüße</p>".encode(), LINK + b"x</a>", b"</body></html>", b""))
    content = message(body)
    copy = tracked(content)
    assert without_pixel(copy).replace(TRACKED, LINK) == content


def test_plain_text_with_line_feeds() -> None:
    content = message(b"See\nhttp://e.example/\nnow\n", content_type="text/plain")
    assert tracked(content) == content.replace(b"http://e.example/", b"http://t.example/f/a/x")


def test_a_long_line_becomes_quoted_printable_and_says_the_same() -> None:
    body = b"<html>\n<body>\n" + b"x" * 1200 + b"\n" + LINK + b"x</a>\n\0</body>\r"
    _, part = email.message_from_bytes(tracked(message(body))).walk()
    assert part["Content-Transfer-Encoding"] == "quoted-printable"
    assert without_pixel(bytes(part.get_payload(decode=True))).replace(TRACKED, LINK) == body


def test_text_in_utf_16_is_left_alone() -> None:
    content = message((LINK + b"x</a>").decode().encode("utf-16"), content_type="text/html; charset=utf-16")
    plan = plan_of(content)
    assert [reason for _, reason in plan.skipped_parts] == ["charset needs an encoding"]
    assert b"".join(render(plan, click_urls=[], open_url=PIXEL_URL)) == content


def test_a_boundary_between_line_feeds_is_data() -> None:
    image = (
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89\n--b\nContent-Type: text/html\n\n"
    )
    content = message(b"text", image + LINK + b"\n--b--\n", content_type="text/plain")
    plan = plan_of(content)
    assert not plan.tracked
    assert not plan.can_open
    assert b"".join(render(plan, click_urls=[], open_url=PIXEL_URL)) == content


@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize("long", [b"", b"x" * 1200])
def test_copies_are_converted_without_loss(eight_bit: bool, long: bytes) -> None:
    html = b"<html><body>\n" + LINK + b"x</a>" + long + "\n<p>Grüße</p>\n\0</body></html>\n".encode()
    image = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\r\n\x1a\n\0\r"
    copy = tracked(message(html, image), b"http://t.example/f/a/" + b"y" * 900)
    domain = Domain(eight_bit=eight_bit, any_lines=False)
    converted = convert(copy, domain).content
    assert domain.holds(converted)
    before, after = (
        [part.get_payload(decode=True) for part in email.message_from_bytes(octets).walk()]
        for octets in (copy, converted)
    )
    assert after == before
    assert without_pixel(bytes(after[1])).replace(b"http://t.example/f/a/" + b"y" * 900, b"http://e.example/") == html
