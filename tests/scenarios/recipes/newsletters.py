"""What the recipes send, and what must have become of it at the far end."""

from __future__ import annotations

import re

_TRACKED = re.compile(rb"https?://links\.example\.com/f/a/[\w~-]+")
_PIXEL = re.compile(rb'<img [^>]*src="https?://links\.example\.com/([qo])/[\w~-]+"[^>]*>')
_LINK = re.compile(rb'https://[^\s"<>]+')
_BOUNDARY = "=_newsletter"
STORIES = 5
LONG_FIELD = 'X-MSYS-API: {{"campaign_id": "spring",{}"metadata": {{"k": "{}"}}}}\r\n'.format(" " * 880, "v" * 150)
"""A field in one line, in whose 998th octet a value stands."""


def newsletter(subject: str, *, field: str = "", extra: str = "") -> bytes:
    """A newsletter in UTF-8, 8bit, with five links in its text and five in its HTML; `field` is one of its header.

    There is nothing in it that mailwake would change but links and the place of the pixel. `extra` is more HTML.
    """
    text = "".join(f"Größe {n}: https://news.example.org/{subject}/{n}?from=text\r\n" for n in range(STORIES))
    html = "".join(
        f'<p>.\r\n..Größe {n}: <a href="https://news.example.org/{subject}/{n}?from=html">weiter</a> </p>\r\n'
        for n in range(STORIES)
    )
    return (
        f"From: News <news@example.com>\r\nTo: Readers <readers@example.org>\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@example.com>\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\n{field}MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
        f"--{_BOUNDARY}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}"
        f"\r\n--{_BOUNDARY}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"<!DOCTYPE html>\r\n<html><body>\r\n{html}{extra}</body></html>\r\n\r\n--{_BOUNDARY}--\r\n"
    ).encode()


def subject_of(content: bytes) -> str:
    """The message's subject, by which the tests tell their messages apart."""
    found = re.search(rb"^Subject: (.*?)\r?$", content, re.MULTILINE)
    return found[1].decode() if found else ""


def assert_tracked(copy: bytes, original: bytes) -> None:
    """The copy's body is the original's, but for tracked links in the place of all links, and the images for opens."""
    body = body_of(copy)
    expected = body_of(original)
    links = _LINK.findall(expected)
    tracked = _TRACKED.findall(body)
    assert len(links) == 2 * STORIES
    assert len(set(tracked)) == len(tracked) == len(links), body
    assert sorted(_PIXEL.findall(body)) == [b"o", b"q"], body
    originals = iter(links)
    restored = _TRACKED.sub(lambda _: next(originals), _PIXEL.sub(b"", body))
    assert restored.split(b"\n") == expected.split(b"\n")


def assert_untracked(copy: bytes, original: bytes) -> None:
    """The copy's body is the original's."""
    assert body_of(copy) == body_of(original)


def tracked_links(copy: bytes) -> set[bytes]:
    """The links that mailwake wrote."""
    return set(_TRACKED.findall(copy))


def times_received(copy: bytes, by: str) -> int:
    """How often the message was at the server of that name, as its Received fields say."""
    head = re.split(rb"\r?\n\r?\n", copy, maxsplit=1)[0]
    return len(re.findall(rb"\bby " + re.escape(by.encode()) + rb"[\s(]", re.sub(rb"\r?\n[ \t]+", b" ", head)))


def body_of(content: bytes) -> bytes:
    """The body with LF line ends, as the sinks write it, without blank lines at its end: each has its own number."""
    return re.split(rb"\r?\n\r?\n", content, maxsplit=1)[1].replace(b"\r\n", b"\n").rstrip(b"\n")
