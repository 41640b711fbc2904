"""Messages made to be slow: the time from tree to copy grows with their length, and no faster."""

from __future__ import annotations

import pytest
from tests.rewrite.growth import grows_with_length

from mailwake.message.mime_tree import parse
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import make_plan

HTML = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n"
TEXT = b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\nContent-Transfer-Encoding: %s\r\n\r\n"

CASES = {
    "links on one line": (HTML % b"8bit", b'<a href="http://e.com/">'),
    "links on one line of quoted-printable": (HTML % b"quoted-printable", b'<a href=3D"http://e.com/">'),
    "attributes on one line": (HTML % b"quoted-printable" + b"<a ", b"data-msys-linkname=3Dx "),
    "attributes of ours": (HTML % b"8bit" + b"<a ", b"data-msys-linkname=x "),
    "macros": (HTML % b"8bit", b"{{opening_double_curly()}}"),
    "half macros": (HTML % b"8bit", b"{{ opening_double_curly("),
    "conditional comments": (HTML % b"8bit", b'<!--[if mso]><a href="http://e.com"><![endif]-->'),
    "conditions": (HTML % b"8bit", b"<!--[if mso"),
    "soft breaks": (HTML % b"quoted-printable", b"=\r\n"),
    "URLs": (TEXT % b"8bit", b"http://e.com/a "),
    "URLs in one run": (TEXT % b"8bit", b"http://e.com/a\xff"),
    "schemes": (TEXT % b"8bit", b"http://"),
    "notes": (TEXT % b"8bit", b"http://e.com[[data-msys-clicktrack=0]]"),
    "half notes": (TEXT % b"8bit", b"http://e.com[[data-msys-"),
    "brackets": (TEXT % b"8bit" + b"http://e.com/", b"()))"),
    "joined lines": (TEXT % b"8bit" + b"http://e.com/", b"a \r\n"),
    "host labels": (TEXT % b"8bit" + b"http://", b"\xc3\xa4."),
    "parts": (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"--b\r\n\r\n"),
    "parts in parts": (b"", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"),
    "almost boundaries": (b"Content-Type: multipart/mixed; boundary=-\r\n\r\n", b"-"),
    "parameters": (b"Content-Type: text/html", b';\r\n a="'),
    "header fields": (b"", b"Content-Transfer-Encoding: 8bit\r\n"),
    "carriage returns": (b"", b"\n\r"),
}


def rewrite(content: bytes) -> None:
    plan = make_plan(content, parse(content))
    urls = [b"http://t.example/f/a/" + b"x" * 150] * len(plan.tracked)
    render(plan, click_urls=urls, open_url=b"http://t.example/q/x")


@pytest.mark.parametrize(("head", "piece"), CASES.values(), ids=CASES.keys())
def test_time_grows_with_length(head: bytes, piece: bytes) -> None:
    assert grows_with_length(rewrite, head, piece, b">\r\n")
