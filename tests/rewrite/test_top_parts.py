"""Which parts of a message are its body."""

from __future__ import annotations

import pytest

from mailwake.message.mime_tree import parse
from mailwake.rewrite.top_parts import SkippedPart, top_parts


def part(content_type: str, *fields: str, body: str = "x") -> str:
    return "\r\n".join((f"Content-Type: {content_type}", *fields, "", body))


def multipart(subtype: str, boundary: str, *parts: str) -> str:
    inside = "".join(f"--{boundary}\r\n{text}\r\n" for text in parts)
    return f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n{inside}--{boundary}--\r\n'


TEXT, HTML, AMP = part("text/plain"), part("text/html"), part("text/x-amp-html")
ATTACHED = part("text/html", "Content-Disposition: attachment")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (HTML, {"html": ""}),
        (TEXT, {"text": ""}),
        ("Subject: x\r\n\r\nbody", {"text": ""}),
        (multipart("alternative", "a", TEXT, AMP, HTML), {"text": "1", "amp": "2", "html": "3"}),
        (multipart("mixed", "m", multipart("alternative", "a", TEXT, HTML), HTML), {"text": "1.1", "html": "1.2"}),
        (multipart("related", "r", HTML, part("image/png")), {"html": "1"}),
        (multipart('related; start="<x@y>"', "r", HTML, part("text/html", "Content-ID: <x@y>")), {"html": "2"}),
        (multipart('related; start="<z>"', "r", HTML, part("text/html", "Content-ID: <x@y>")), {"html": "1"}),
        (
            multipart('mixed; start="<x>"', "r", HTML, part("text/html", "Content-ID: <x>", "CONTENT-ID: a")),
            {"html": "1"},
        ),
        (multipart("related", "r", multipart("alternative", "a", TEXT, HTML)), {"text": "1.1", "html": "1.2"}),
        (multipart("mixed", "m", part("image/png"), multipart("related", "r", HTML)), {"html": "2.1"}),
        (multipart("report", "p", TEXT, part("message/delivery-status", body="x: y")), {"text": "1"}),
        (multipart("x-unknown", "x", HTML), {"html": "1"}),
        (multipart("alternative", "a", part("text/html", "Content-Type: text/html"), TEXT), {"html": "1", "text": "2"}),
        (multipart("mixed", "m", ATTACHED, HTML), {"html": "2"}),
        (multipart("mixed", "m", part("text/html; name=report.html"), HTML), {"html": "2"}),
        (multipart("mixed", "m", part("text/html", "Content-Disposition: x-unknown"), HTML), {"html": "2"}),
        (multipart("mixed", "m", part("text/html", "Content-Disposition: inline")), {"html": "1"}),
        (multipart("mixed", "m", part("message/rfc822", body=HTML), TEXT), {"text": "2"}),
        (multipart("mixed", "m", part("text/calendar"), part("application/octet-stream")), {}),
        (part("text/html; name=all.html"), {"html": ""}),
        (multipart("digest", "d", HTML), {"html": "1"}),
        (multipart("digest", "d", "\r\nSubject: x"), {}),
    ],
)
def test_first_of_each_kind(content: str, found: dict[str, str]) -> None:
    top = top_parts(parse(content.encode()))
    assert {kind: found_part.number for kind, found_part in top.by_kind.items()} == found
    assert top.skipped == []


@pytest.mark.parametrize(
    ("content", "skipped"),
    [
        (multipart("signed", "s", HTML, part("application/pgp-signature")), ("message multipart/signed", "signed")),
        (multipart("encrypted", "e", HTML), ("message multipart/encrypted", "encrypted")),
        (multipart("mixed", "m", multipart("signed", "s", HTML), TEXT), ("part 1 multipart/signed", "signed")),
        (part("application/pkcs7-mime; smime-type=signed-data"), ("message application/pkcs7-mime", "signed")),
        ("Content-Type: multipart/mixed\r\n\r\nx", ("message multipart/mixed", "broken MIME: no boundary")),
    ],
)
def test_sealed_and_broken_parts_are_named(content: str, skipped: tuple[str, str]) -> None:
    top = top_parts(parse(content.encode()))
    assert top.skipped == [SkippedPart(*skipped)]
    assert "html" not in top.by_kind
