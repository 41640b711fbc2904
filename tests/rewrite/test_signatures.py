"""Messages that arrive signed: what counts as a signature, and that such a message is left alone unless told."""

from __future__ import annotations

import pytest

from mailwake.message.mime_tree import parse
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import SIGNED_ON_ARRIVAL, RewriteSettings, SkippedPart, make_plan
from mailwake.rewrite.signatures import signed_by

DKIM = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=Shop.Example; s=k; h=from:to; bh=x=; b=y=\r\n"
BODY = b'Content-Type: text/html\r\n\r\n<a href="http://e.com/" data-msys-linkname="n">x</a>\r\n'


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"", ()),
        (DKIM, ("DKIM-Signature of Shop.Example",)),
        (b"dkim-signature : d=a.example\r\n", ("dkim-signature of a.example",)),
        (b"DKIM-Signature: v=1;dd=x; d = a.example ;x=d=b\r\n", ("DKIM-Signature of a.example",)),
        (b"DKIM-Signature: nonsense\r\n", ("DKIM-Signature",)),
        (
            DKIM + b"ARC-Message-Signature: i=1; d=l.example\r\n",
            ("DKIM-Signature of Shop.Example", "ARC-Message-Signature of l.example"),
        ),
        (b"DomainKey-Signature: a=rsa-sha1; d=old.example\r\n", ("DomainKey-Signature of old.example",)),
        (b"X-DKIM-Signature: d=a\r\nSubject: DKIM-Signature: d=a\r\n DKIM-Signature: d=a\r\n", ()),
        (b"ARC-Seal: d=a\r\nAuthentication-Results: dkim=pass\r\n", ()),
    ],
)
def test_signatures_of_a_header(header: bytes, found: tuple[str, ...]) -> None:
    assert signed_by(header, len(header)) == found


def test_only_the_header_counts() -> None:
    content = b"Subject: x\r\n\r\n" + DKIM
    assert signed_by(content, 12) == ()


def test_a_signed_message_is_left_alone_and_named() -> None:
    removed = b"X-MSYS-API: {}\r\n"
    content = removed + DKIM + BODY
    plan = make_plan(content, parse(content), removed_fields=[(0, len(removed))])
    assert plan.skipped_parts == (SkippedPart("message with DKIM-Signature of Shop.Example", SIGNED_ON_ARRIVAL),)
    assert (plan.links, plan.tracked, plan.can_open, plan.can_amp_open) == ((), (), False, False)
    assert b"".join(render(plan, click_urls=[], open_url=b"http://t/q", clean_up=True)) == DKIM + BODY


def test_a_signed_message_is_tracked_where_the_site_says_so() -> None:
    content = DKIM + BODY
    plan = make_plan(content, parse(content), settings=RewriteSettings(on_signed="track"))
    copy = b"".join(render(plan, click_urls=[b"http://t/0"]))
    assert copy == DKIM + BODY.replace(b"http://e.com/", b"http://t/0").replace(b' data-msys-linkname="n"', b"")
    assert plan.skipped_parts == ()


def test_a_signed_message_inside_the_message_changes_nothing() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\n" + DKIM + BODY
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + BODY + b"\r\n--b\r\n" + inner + b"\r\n--b--\r\n"
    )
    plan = make_plan(content, parse(content))
    assert len(plan.tracked) == 1
