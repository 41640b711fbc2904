"""Taking the differences between a copy and its original away again: what is left must be the original.

The tracked URLs are looked for in the copy by their text, each of which occurs once; where the plan says they stand
does not enter, nor does anything else of how a copy is made. Decoding is the standard library's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.corpus import decode_body

from mailwake.message.mime_tree import parse
from mailwake.rewrite.edits import Purpose, chosen
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, make_plan

if TYPE_CHECKING:
    from mailwake.message.mime_tree import Part

OPEN_URL = b"http://t.example/q/" + b"o" * 150
INITIAL_OPEN_URL = b"http://t.example/o/" + b"i" * 150
PIXEL = b'<img src="%s" alt="" width="1" height="1" border="0">'
MAX_LINE = 998
MAX_ENCODED_LINE = 76


@dataclass(slots=True)
class Findings:
    """What is wrong with the copy of one message; nothing, when all is well."""

    plan: MessagePlan
    copy: bytes
    changed: int = 0
    """Bytes changed outside the spans."""
    long_lines: int = 0
    """Lines over 998 bytes, or over 76 in quoted-printable and base64, that we wrote."""
    faults: list[str] = field(default_factory=list)
    """What else is not as it should be."""


def click_urls(plan: MessagePlan) -> list[bytes]:
    """URLs of different lengths, so that every column of a line is met; each is unique and none is part of another."""
    return [
        b"http://t.example/f/a/%04d" % number + b"X" * (40 + number * 7 % 200) for number in range(len(plan.tracked))
    ]


def examine(content: bytes) -> Findings:
    """Plan a message of one part, make a copy with every link and both images, and take the differences away again."""
    root = parse(content)
    plan = make_plan(content, root)
    found = Findings(plan, content)
    if b"".join(render(plan)) != content:
        found.faults.append("a copy without URLs is not the original")
    if not plan.parts:
        if not plan.skipped_parts:
            found.faults.append("left alone for no reason")
        return found
    urls = click_urls(plan)
    found.copy = b"".join(render(plan, click_urls=urls, open_url=OPEN_URL, initial_open_url=INITIAL_OPEN_URL))
    new_root = parse(found.copy)
    _check_header(found, root, new_root)
    text = decode_body(found.copy[new_root.body_start :], new_root.transfer_encoding)
    back = taken_back(found, text, urls)
    found.changed += differing_bytes(back, decode_body(content[root.body_start :], root.transfer_encoding))
    found.long_lines = len(long_lines(content, found.copy, root.transfer_encoding, new_root.transfer_encoding))
    return found


def taken_back(found: Findings, text: bytes, urls: list[bytes]) -> bytes:
    """`text`, the decoded part of a copy, with the original values in the place of the URLs, and without images."""
    (part,) = found.plan.parts

    def coded(value: bytes) -> bytes:
        return value.decode("ascii").encode(part.codec or "ascii")

    def replaced_once(text: bytes, new: bytes, old: bytes, what: str) -> bytes:
        if text.count(new) != 1:
            found.faults.append(f"{what} occurs {text.count(new)} times")
        return text.replace(new, old)

    for url in (OPEN_URL, INITIAL_OPEN_URL):
        if part.takes_images:
            text = replaced_once(text, coded(PIXEL % url), b"", "an image")
    for edit in chosen(part.edits, Purpose.CLICK | Purpose.CLEANUP):
        if edit.slot is None:  # attributes and macros for the tracking system leave nothing that could be found
            found.faults.append("the document is written for the tracking system")
            continue
        new = edit.before + coded(urls[edit.slot]) + edit.after
        text = replaced_once(text, new, part.text[edit.start : edit.end], "a tracked link")
    return text


def differing_bytes(one: bytes, other: bytes) -> int:
    """In how many bytes two texts differ, place by place."""
    if one == other:
        return 0
    return sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))


def long_lines(content: bytes, copy: bytes, encoding: bytes, new_encoding: bytes) -> list[bytes]:
    """The lines of a copy that are too long and not the sender's own."""
    lines = copy.split(b"\r\n")
    if new_encoding == b"quoted-printable":
        known = set(content.split(b"\r\n")) if encoding == new_encoding else set()
        return [line for line in lines if len(line) > MAX_ENCODED_LINE and line not in known]
    limit = MAX_ENCODED_LINE if new_encoding == b"base64" else MAX_LINE
    return [line for line in lines if len(line) > limit]


def _check_header(found: Findings, root: Part, new_root: Part) -> None:
    """The header stays as it is, but that a body with too long lines is said to be quoted-printable."""
    before, after = found.plan.content[: root.body_start], found.copy[: new_root.body_start]
    if new_root.transfer_encoding != root.transfer_encoding:
        if new_root.transfer_encoding != b"quoted-printable" or root.transfer_encoding == b"base64":
            found.faults.append("another transfer encoding")
        said = b"Transfer-Encoding: "
        before = before.replace(said + root.transfer_encoding, said + b"quoted-printable")
    found.changed += differing_bytes(after, before)
