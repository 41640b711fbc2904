"""Any bytes at all: reading them never raises, and a copy differs from the original only where it has to."""

from __future__ import annotations

import base64
import quopri

from hypothesis import given, settings
from hypothesis import strategies as st

from mailwake.message.headers import fields, find, unfold
from mailwake.message.mime_tree import parse
from mailwake.rewrite.edits import Purpose, chosen
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, make_plan

OPEN_URL, INITIAL_OPEN_URL = b"http://t.example/q/" + b"o" * 60, b"http://t.example/o/" + b"i" * 60
PIXEL = b'<img src="%s" alt="" width="1" height="1" border="0">'

HTML_PIECES = (
    *(
        b'<a href="http://e.com/1">',
        b"<a href=http://e.com/2>",
        b"<a href='https://e.com/?a=1&amp;b=2' class=x>",
        b"</a>",
    ),
    *(b'<a data-msys-linkname="n" href="http://e.com/3" data-msys-unsubscribe=1>', b"<area href=//x>", b"<p>", b"</p>"),
    *(b"<!--", b"-->", b"<!--[if mso]>", b"<![endif]-->", b"<style>", b"</style>", b"<svg>", b"</svg>", b"<body>"),
    *(b"</body>", b"<html>", b"</html>", b'"', b"'", b"=", b">", b"<", b" ", b"\r\n", b"\t", b"text ", b"\xe4"),
    *(b"\xc3\xa4", b"\0", b"&amp;", b"{{opening_double_curly()}}", b"{{", b"\xff", b".", b"x" * 80, b"<title>"),
    *(b"<frameset>", b"\x1b$B", b"=3D", b"\n"),
)
TEXT_PIECES = (
    *(b"http://e.com/1", b"https://e.com/\xc3\xa4", b"(", b")", b'[[data-msys-unsubscribe="1"]]', b" ", b"\r\n", b"."),
    *(b"x" * 70, b"[", b"]]", b"http", b"://", b"\xff", b"> ", b"\xe3\x80\x82", b"=", b"{{closing_double_curly()}}"),
)
html_texts = st.lists(st.sampled_from(HTML_PIECES), max_size=40).map(b"".join)
plain_texts = st.lists(st.sampled_from(TEXT_PIECES), max_size=40).map(b"".join)
HEADER_PIECES = (
    *(b"Content-Type: text/html; charset=utf-8\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n", b"\r\n", b"\n"),
    *(b"--b\r\n", b"--b--\r\n", b'Content-Type: multipart/alternative;\r\n boundary="b"\r\n', b" fold\r\n", b"--b"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"X: y\r\n"),
    *(b"Content-Type: text/plain\r\n", b"Content-Disposition: attachment\r\n", b'<a href="http://e.com">', b"\0"),
    *(b"\r", b"http://e.com/ ", b"=\r\n", b"=3D", b"PGE="),
)
header_pieces = st.sampled_from(HEADER_PIECES)
wild_messages = st.lists(header_pieces | st.binary(max_size=8), max_size=40).map(b"".join)


def encoded(text: bytes, transfer_encoding: str) -> bytes:
    if transfer_encoding == "base64":
        return base64.encodebytes(text).replace(b"\n", b"\r\n")
    if transfer_encoding == "quoted-printable":
        lines = [quopri.encodestring(line).replace(b"\n", b"\r\n") for line in text.split(b"\r\n")]
        return b"\r\n".join(lines)
    return text


def decoded(body: bytes, transfer_encoding: bytes) -> bytes:
    if transfer_encoding == b"base64":
        return base64.b64decode(body)
    return quopri.decodestring(body) if transfer_encoding == b"quoted-printable" else body


def rendered(plan: MessagePlan) -> tuple[bytes, list[bytes]]:
    urls = [b"http://t.example/f/a/%04d" % number + b"X" * (number * 37 % 300) for number in range(len(plan.tracked))]
    return b"".join(render(plan, click_urls=urls, open_url=OPEN_URL, initial_open_url=INITIAL_OPEN_URL)), urls


def expected(plan: MessagePlan, urls: list[bytes]) -> bytes:
    """The decoded text of the only part after its edits, put together in the plainest way."""
    (part,) = plan.parts
    values = [*urls, OPEN_URL, INITIAL_OPEN_URL, b"", b""]
    text = part.text
    for edit in reversed(chosen(part.edits, Purpose.CLICK | Purpose.OPEN | Purpose.INITIAL_OPEN | Purpose.CLEANUP)):
        new = edit.before + (b"" if edit.slot is None else values[edit.slot]) + edit.after
        text = text[: edit.start] + new + text[edit.end :]
    return text


@given(wild_messages | st.binary(max_size=300))
@settings(deadline=None, max_examples=500)
def test_any_bytes(content: bytes) -> None:
    root = parse(content)
    for part in root.walk():
        assert 0 <= part.start <= part.header_end <= part.body_start <= part.end <= len(content)
        for child in part.parts:
            assert part.body_start <= child.start <= child.end <= part.end
    for field in fields(content, root.start, root.header_end):
        assert root.start <= field.start < field.value_start <= field.value_end <= field.end <= root.header_end
        assert b"\n" not in unfold(content[field.value_start : field.value_end])
    find(fields(content, 0, len(content)), b"x")
    plan = make_plan(content, root)
    assert b"".join(render(plan)) == content
    rendered(plan)


@given(
    html_texts,
    st.sampled_from(("7bit", "quoted-printable", "base64", "8bit")),
    st.sampled_from(("utf-8", "windows-1252", "shift_jis", "us-ascii")),
)
@settings(deadline=None, max_examples=500)
def test_html_in_any_encoding(text: bytes, transfer_encoding: str, charset: str) -> None:
    check(text, transfer_encoding, f"text/html; charset={charset}")


@given(plain_texts, st.sampled_from(("7bit", "quoted-printable", "base64")), st.booleans())
@settings(deadline=None, max_examples=500)
def test_text_in_any_encoding(text: bytes, transfer_encoding: str, flowed: bool) -> None:
    check(text, transfer_encoding, "text/plain; charset=utf-8" + ("; format=flowed; delsp=yes" if flowed else ""))


def check(text: bytes, transfer_encoding: str, content_type: str) -> None:
    header = (
        f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {transfer_encoding}\r\n\r\n"
    )
    content = header.encode() + encoded(text, transfer_encoding)
    plan = make_plan(content, parse(content))
    assert b"".join(render(plan)) == content
    copy, urls = rendered(plan)
    if not plan.parts:
        assert copy == content
        return
    new_root = parse(copy)
    assert decoded(copy[new_root.body_start :], new_root.transfer_encoding) == expected(plan, urls)
    if new_root.transfer_encoding != b"7bit" and b"\n" not in text.replace(b"\r\n", b""):
        assert (
            all(len(line) <= 76 for line in copy[new_root.body_start :].split(b"\r\n")) or transfer_encoding == "8bit"
        )
