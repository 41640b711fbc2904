"""Whole copies: what changes for which settings, and that nothing else does."""

from __future__ import annotations

import quopri
import re

import pytest

from mailwake.message.mime_tree import parse
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, RewriteSettings, make_plan

MESSAGE = b"""\
Received: x\r
X-MSYS-API: {"options":\r
  {}}\r
Subject: a\r
\tb\r
Content-Type: multipart/alternative; boundary=b\r
\r
preamble\r
--b\r
Content-Type: text/plain\r
\r
Go to http://e.com/t[[data-msys-clicktrack="0"]] {{opening_double_curly()}}x{{closing_double_curly()}} {{y}}\r
or http://e.com/u\r
--b\r
Content-Type: text/html\r
\r
<html><body><a data-msys-linkname="n" href="http://e.com/h">x</a> {{ opening_double_curly() }}</body></html>\r
--b\r
Content-Type: text/html\r
Content-Disposition: attachment\r
\r
<a data-msys-linkname="n" href="http://e.com/h">x</a>{{opening_double_curly()}}\r
--b--\r
epilogue\r
"""
REMOVED = (MESSAGE.index(b"X-MSYS"), MESSAGE.index(b"Subject"))
HTML_IMAGE = b'<img src="%s" alt="" width="1" height="1" border="0">'


def planned(content: bytes = MESSAGE) -> MessagePlan:
    return make_plan(content, parse(content), removed_fields=[REMOVED] if content is MESSAGE else [])


def replaced(content: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    for old, new in pairs:
        assert old in content
        content = content.replace(old, new, 1)
    return content


WITHOUT_FIELD = (b'X-MSYS-API: {"options":\r\n  {}}\r\n', b"")
CLEANED = (
    (b'[[data-msys-clicktrack="0"]]', b""),
    (b"{{opening_double_curly()}}x{{closing_double_curly()}}", b"{{x}}"),
    (b' data-msys-linkname="n"', b""),
    (b"{{ opening_double_curly() }}", b"{{"),
)


def test_with_nothing_on_only_the_removed_field_is_missing() -> None:
    assert b"".join(render(planned())) == replaced(MESSAGE, WITHOUT_FIELD)


def test_clicks() -> None:
    plan = planned()
    assert [(link.part, link.target, link.tracked) for link in plan.links] == [
        ("text", "http://e.com/t", False),
        ("text", "http://e.com/u", True),
        ("html", "http://e.com/h", True),
    ]
    copy = b"".join(render(plan, click_urls=[b"http://t/0", b"http://t/1"]))
    clicks = ((b"http://e.com/u", b"http://t/0"), (b"http://e.com/h", b"http://t/1"))
    assert copy == replaced(MESSAGE, WITHOUT_FIELD, *CLEANED, *clicks)


def test_opens() -> None:
    copy = b"".join(render(planned(), open_url=b"http://t/q", initial_open_url=b"http://t/o"))
    images = (
        (b"<body>", b"<body>" + HTML_IMAGE % b"http://t/o"),
        (b"</body>", HTML_IMAGE % b"http://t/q" + b"</body>"),
    )
    assert copy == replaced(MESSAGE, WITHOUT_FIELD, *CLEANED, *images)
    copy = b"".join(render(planned(), open_url=b"http://t/q"))
    assert copy == replaced(MESSAGE, WITHOUT_FIELD, *CLEANED, images[1])


HIDDEN_LINK = b'<a href="%s" style="display:none;mso-hide:all" tabindex="-1" aria-hidden="true"></a>'


def test_the_hidden_link_stands_where_the_image_does() -> None:
    link, image = HIDDEN_LINK % b"http://t/f/a/h", HTML_IMAGE % b"http://t/q"
    copy = b"".join(render(planned(), honeypot_url=b"http://t/f/a/h", open_url=b"http://t/q"))
    assert copy == replaced(MESSAGE, WITHOUT_FIELD, *CLEANED, (b"</body>", link + image + b"</body>"))
    copy = b"".join(render(planned(), honeypot_url=b"http://t/f/a/h", click_urls=[b"http://t/0", b"http://t/1"]))
    clicks = ((b"http://e.com/u", b"http://t/0"), (b"http://e.com/h", b"http://t/1"))
    assert copy == replaced(MESSAGE, WITHOUT_FIELD, *CLEANED, *clicks, (b"</body>", link + b"</body>"))


def test_the_hidden_link_stands_where_the_sender_puts_the_image() -> None:
    content = b"Content-Type: text/html\r\n\r\n<td>{{open_pixel()}}x{{ open_pixel() }}</td>"
    plan = make_plan(content, parse(content), settings=RewriteSettings(open_pixel="macro"))
    head = b"Content-Type: text/html\r\n\r\n<td>" + HIDDEN_LINK % b"http://t/h"
    assert b"".join(render(plan, honeypot_url=b"http://t/h")) == head + b"x</td>"
    copy = b"".join(render(plan, honeypot_url=b"http://t/h", open_url=b"http://t/q"))
    assert copy == head + HTML_IMAGE % b"http://t/q" + b"x</td>"


def test_recipients_share_one_plan_and_keep_their_own_urls() -> None:
    plan = planned()
    copies = [b"".join(render(plan, click_urls=[b"http://t/%d/0" % n, b"http://t/%d/1" % n])) for n in range(50)]
    for number, copy in enumerate(copies):
        assert re.findall(rb"http://t/(\d+)/", copy) == [b"%d" % number] * 2
    assert b"".join(render(plan)) == replaced(MESSAGE, WITHOUT_FIELD)


def test_a_wrong_number_of_urls_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 URLs for 2 tracked links"):
        render(planned(), click_urls=[b"http://t/0"])


@pytest.mark.parametrize(
    ("header", "new_header"),
    [
        (b"Content-Type: text/html\r\nContent-Transfer-Encoding:  7bit \r\nX: y\r\n", None),
        (b"Content-Type: text/html\r\nMIME-Version: 1.0\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n"),
        (b"Content-Type: text/html\r\n", b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n"),
    ],
)
def test_a_line_that_becomes_too_long_makes_the_part_quoted_printable(header: bytes, new_header: bytes | None) -> None:
    line = b'<a href="http://e.com/">' + b"x" * 971
    plan = planned(header + b"\r\n=\xc3\xa4 \r\n" + line + b"\r\n")
    short, long = b"http://t/1234", b"http://t/12345678"
    assert b"".join(render(plan, click_urls=[short])).endswith(
        b"\r\n\r\n=\xc3\xa4 \r\n" + line.replace(b"http://e.com/", short) + b"\r\n"
    )
    copy = b"".join(render(plan, click_urls=[long]))
    new_header = header + new_header if new_header else header.replace(b"7bit ", b"quoted-printable")
    assert copy.startswith(new_header + b'\r\n=3D=C3=A4=20\r\n<a href=3D"http://t/12345678=\r\n">xxx')
    assert max(map(len, copy.split(b"\r\n"))) == 76
    assert copy[len(new_header) :].replace(b"=\r\n", b"").endswith(b"x" * 971 + b"\r\n")
    # The other kind of copy is not spoilt by it.
    assert len(b"".join(render(plan, click_urls=[short]))) == len(header) + 2 + 6 + len(line) + 2


def test_the_header_of_an_inner_part() -> None:
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<a href=http://e.com>\r\n--b--\r\n"
    copy = b"".join(render(planned(content), click_urls=[b"http://t/" + b"x" * 1000]))
    assert copy.startswith(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n"
        b'Content-Transfer-Encoding: quoted-printable\r\n\r\n<a href=3D"http://t/xxx'
    )
    assert copy.endswith(b'">\r\n--b--\r\n')


def test_only_changed_lines_of_quoted_printable_are_folded_anew() -> None:
    content = (
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"odd =\r\nfolding =3d lower case  \r\n" + b"y" * 90 + b"\r\n"
        b'<a href=3D"http://e.=\r\ncom/">short</a>=\r\n rest\r\n<p>=\r\n'
    )
    copy = b"".join(render(planned(content), click_urls=[b"http://t/" + b"x" * 100]))
    assert copy == content.replace(b'"http://e.=\r\ncom/"', b'"http://t/' + b"x" * 55 + b"=\r\n" + b"x" * 45 + b'"')


def test_lines_that_a_removed_attribute_joins_make_the_part_quoted_printable() -> None:
    content = b"Content-Type: text/html\r\n\r\n<a id=%b\r\n data-msys-linkname=n title=%b>" % (b"x" * 700, b"y" * 700)
    copy = b"".join(render(planned(content), clean_up=True))
    assert max(map(len, copy.split(b"\r\n"))) == 76
    body = quopri.decodestring(copy[copy.index(b"\r\n\r\n") + 4 :])
    assert body == b"<a id=%b title=%b>" % (b"x" * 700, b"y" * 700)


@pytest.mark.parametrize("encoding", [b"8bit", b"quoted-printable"])
@pytest.mark.parametrize(
    "text",
    [b"http://e.com/ " + b"x" * 74 + b"--b--", b'http://e.com/"--b--', b"http://e.com/[[data-msys-x]]--b"],
)
def test_a_soft_line_break_makes_no_boundary(text: bytes, encoding: bytes) -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b\r\n--b--\r\n"
    ) % (encoding, text)
    for length in range(1000, 1080):
        copy = b"".join(render(planned(content), click_urls=[b"X" * length]))
        root = parse(copy)
        assert (len(root.parts), root.unclosed) == (1, False)
        decoded = quopri.decodestring(copy[root.parts[0].body_start : root.parts[0].end])
        assert decoded == text.replace(b"http://e.com/", b"X" * length).replace(b"[[data-msys-x]]", b"")


def test_base64_keeps_lines_before_the_change_and_its_line_length() -> None:
    lines = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldY\r\n" * 3
    link = b"PGEgaHJlZj0iaHR0cDovL2UuY29tIj4=\r\n\r\n"
    content = b"Content-Type: text/html\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" + lines + link
    copy = b"".join(render(planned(content), click_urls=[b"http://t/xxxxxxxxx"]))
    assert copy == content.replace(link, b"PGEgaHJlZj0iaHR0cDovL3QveHh4eHh4\r\neHh4Ij4=\r\n\r\n")


@pytest.mark.parametrize(
    ("header", "body", "reason"),
    [
        (b"Content-Type: text/html; charset=x-nowhere\r\n", b"<a href=http://e.com>", "unknown charset"),
        (b"Content-Type: text/html; charset=unicode_escape\r\n", b"<a href=http://e.com>", "unknown charset"),
        (b"Content-Type: text/html\r\nContent-Transfer-Encoding: x-uuencode\r\n", b"x", "unknown transfer encoding"),
        (b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n", b"PGE*", "broken base64"),
        (b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n", b"PGE", "broken base64"),
        (
            b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            b"a=b",
            "broken quoted-printable",
        ),
        (b"Content-Type: text/html; charset=utf-16\r\n", "<a>".encode("utf-16"), "charset needs an encoding"),
        (b"Content-Type: text/html; charset=utf-7\r\n", b"+AG-<a href=http://e.com>", "charset does not round-trip"),
        (
            b"Content-Type: text/plain; charset=iso-2022-jp\r\n",
            b"\x1bhttp://e.com/\x1b$",
            "charset does not round-trip",
        ),
        (b"Content-Type: text/plain\r\n", b"x\r\n-----BEGIN PGP MESSAGE-----\r\nhttp://e.com", "pgp inline"),
        (
            b"Content-Type: text/html\r\n",
            b"<pre>-----BEGIN PGP SIGNED MESSAGE-----\r\n<a href=http://e.com>",
            "pgp inline",
        ),
        (b"Content-Type: multipart/mixed\r\n", b"<a href=http://e.com>", "broken MIME: no boundary"),
        (
            b"Content-Type: multipart/mixed; boundary=b\r\n",
            b"--b\r\nContent-Type: text/html\r\n--b--\r\n",
            "no body",
        ),
    ],
)
def test_what_cannot_be_worked_on_is_left_alone_and_named(header: bytes, body: bytes, reason: str) -> None:
    content = header + b"\r\n" + body
    plan = planned(content)
    assert [skipped.reason for skipped in plan.skipped_parts] == [reason]
    assert (plan.links, plan.can_open) == ((), False)
    assert b"".join(render(plan, click_urls=[], open_url=b"http://t/q")) == content


AMP = (
    b"Content-Type: text/x-amp-html\r\n\r\n<!doctype html><html amp4email><head></head><body>"
    b'<a href="https://e.com/1">x</a><template type="amp-mustache"><a href="https://e.com/{{id}}">y</a></template></body></html>'
)


def test_amp() -> None:
    plan = planned(AMP)
    assert [(link.part, link.reason) for link in plan.links] == [("amp", ""), ("amp", "template")]
    assert (plan.can_open, plan.can_amp_open) == (False, True)
    copy = b"".join(
        render(plan, click_urls=[b"https://t/1"], amp_open_url=b"https://t/q", amp_initial_open_url=b"https://t/o")
    )
    image = b'<amp-img src="%s" alt="" width="1" height="1"></amp-img>'
    assert copy == replaced(
        AMP,
        (b"https://e.com/1", b"https://t/1"),
        (b"<body>", b"<body>" + image % b"https://t/o"),
        (b"</body>", image % b"https://t/q" + b"</body>"),
    )
    # The images of the HTML part never stand in the AMP part, and AMP takes https alone.
    assert b"".join(render(plan, open_url=b"https://t/q")) == AMP
    assert b"".join(render(plan, amp_open_url=b"http://t/q")) == AMP
    # AMP's validator refuses the hidden link.
    assert b"".join(render(plan, honeypot_url=b"https://t/h")) == AMP


def test_placed_pixel() -> None:
    content = b"Content-Type: text/html\r\n\r\n<td>{{open_pixel()}}x{{ open_pixel() }}</td>"
    plan = make_plan(content, parse(content), settings=RewriteSettings(open_pixel="macro"))
    copy = b"".join(render(plan, open_url=b"http://t/q", initial_open_url=b"http://t/o"))
    assert copy == b"Content-Type: text/html\r\n\r\n<td>" + HTML_IMAGE % b"http://t/q" + b"x</td>"
    assert b"".join(render(plan, click_urls=[])) == b"Content-Type: text/html\r\n\r\n<td>x</td>"
    assert b"".join(render(plan)) == content
    without = content.replace(b"{{open_pixel()}}", b"").replace(b"{{ open_pixel() }}", b"")
    plan = make_plan(without, parse(without), settings=RewriteSettings(open_pixel="macro"))
    assert not plan.can_open
    assert b"".join(render(plan, open_url=b"http://t/q", initial_open_url=b"http://t/o")) == without
    # Without that setting the macro is text like any other.
    assert b"{{open_pixel()}}x{{ open_pixel() }}" in b"".join(render(planned(content), open_url=b"http://t/q"))


def test_flowed_text() -> None:
    content = (
        b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\nSee http://e.com/a \r\nb \r\nhttp://e.com/c \r\n"
    )
    plan = planned(content)
    assert [link.target for link in plan.tracked] == ["http://e.com/ab", "http://e.com/c"]


def test_cleaning_up_without_any_url() -> None:
    assert b"".join(render(planned(), clean_up=True)) == replaced(MESSAGE, WITHOUT_FIELD, *CLEANED)


def test_a_removed_field_behind_the_encoding_that_changes() -> None:
    kept = b"Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n"
    removed = b"X-MSYS-API: {}\r\n"
    for header in (kept + removed, removed + kept):
        content = header + b"Subject: x\r\n\r\n<a href=http://e.com>"
        start = content.index(removed)
        plan = make_plan(content, parse(content), removed_fields=[(start, start + len(removed))])
        copy = b"".join(render(plan, click_urls=[b"http://t/" + b"x" * 1000]))
        assert copy.startswith(kept.replace(b"8bit", b"quoted-printable") + b"Subject: x\r\n\r\n<a href=3D")


def test_a_short_base64_body_gets_lines_of_the_usual_length() -> None:
    content = b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+eDwvYj4=\r\n"
    copy = b"".join(render(planned(content), open_url=b"http://t/q"))
    assert [len(line) for line in copy.split(b"\r\n\r\n")[1].split(b"\r\n")] == [76, 16, 0]


@pytest.mark.parametrize("filling", [0, 980])
def test_a_tilde_in_a_tracked_url_is_written_as_its_charset_wants_it(filling: int) -> None:
    """In HZ a tilde begins an escape: `~~` is the character (RFC 1843)."""
    text = "中文 " + "x" * filling + '<a href="http://e.com/">中</a>'
    content = b"Content-Type: text/html; charset=hz-gb-2312\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + text.encode(
        "hz"
    )
    copy = b"".join(render(planned(content), click_urls=[b"http://t/f/~user/TOKEN"]))
    body = copy.partition(b"\r\n\r\n")[2]
    if filling:
        assert b"Content-Transfer-Encoding: quoted-printable" in copy
        body = quopri.decodestring(body)
    assert body.decode("hz") == text.replace("http://e.com/", "http://t/f/~user/TOKEN")
