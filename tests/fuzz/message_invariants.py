"""What holds for every message and each of its copies, whoever made the message.

Copies are taken apart by code that is plain and shares nothing with the rewriting but the tree: bodies are decoded by
the standard library, edits are applied by slicing.
"""

from __future__ import annotations

import base64
import quopri
import re
from typing import TYPE_CHECKING, NamedTuple

from mailwake.message.headers import fields, find
from mailwake.message.mime_tree import Part, parse
from mailwake.rewrite.edits import Purpose, chosen
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, make_plan
from mailwake.rewrite.settings import DEFAULT_SETTINGS, RewriteSettings
from mailwake.rewrite.transfer_encoding import Encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.rewrite.edits import Edit
    from mailwake.rewrite.part_plan import PartPlan

MAX_LINE, MAX_ENCODED_LINE = 998, 76
MAX_TARGET_BYTES, MAX_NAME_BYTES = 4096, 63
_ENCODING_FIELD = re.compile(
    rb"^(content-transfer-encoding[ \t]*+:)[^\n]*+(?:\n[ \t][^\n]*+)*+", re.MULTILINE | re.IGNORECASE
)
_BROKEN_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\r?\Z)")


class Wanted(NamedTuple):
    """What one copy is to have."""

    clicks: Sequence[int] | None
    """The lengths of the click URLs, in turn; None: links stay."""
    images: bool
    clean_up: bool = False


WANTED = (
    Wanted((), images=False, clean_up=True),
    Wanted((30, 67, 12, 341, 76, 75, 150), images=True),
    Wanted((1100, 20), images=False),
    Wanted(None, images=True),
)
IMAGES = {
    Purpose.HONEYPOT: b"http://t.example/f/a/" + b"h" * 70,
    Purpose.OPEN: b"http://t.example/q/" + b"o" * 60,
    Purpose.INITIAL_OPEN: b"http://t.example/o/" + b"i" * 90,
    Purpose.AMP_OPEN: b"https://t.example/q/" + b"p" * 60,
    Purpose.AMP_INITIAL_OPEN: b"https://t.example/o/" + b"j" * 60,
}


def check_message(content: bytes, *, settings: RewriteSettings = DEFAULT_SETTINGS) -> MessagePlan:
    """Check the tree and the copies of a message, and give its plan."""
    root = parse(content)
    check_tree(content, root)
    removed = [(field.start, field.end) for field in find(fields(content, 0, root.header_end), b"X-MSYS-API")]
    plan = make_plan(content, root, removed_fields=removed, settings=settings)
    original = content
    for start, end in reversed(removed):
        original = original[:start] + original[end:]
    assert b"".join(render(plan)) == original
    check_links(plan)
    old_root = parse(original)
    for wanted in WANTED:
        check = _CopyCheck(plan, original, wanted)
        check.compare(old_root, parse(check.copy))
    return plan


def check_tree(content: bytes, root: Part) -> None:
    """Every part lies inside the one around it, after the one before it."""
    assert (root.start, root.end) == (0, len(content))
    for part in root.walk():
        assert 0 <= part.start <= part.header_end <= part.body_start <= part.end <= len(content)
        position = part.body_start
        for child in part.parts:
            assert position <= child.start <= child.end <= part.end
            position = child.end


def check_links(plan: MessagePlan) -> None:
    """What a link says fits into a `Location` field and into events."""
    assert [link.index for link in plan.links] == list(range(len(plan.links)))
    assert plan.tracked == tuple(link for link in plan.links if link.tracked)
    for link in plan.links:
        assert link.tracked == (not link.reason)
        link.name.encode("utf-8")
        assert len(link.name.encode("utf-8")) <= MAX_NAME_BYTES
        assert link.line >= 1
        if link.tracked:
            assert link.target.isascii()
            assert link.target.isprintable()
            assert len(link.target) <= MAX_TARGET_BYTES
            assert link.target.lower().startswith(("http://", "https://"))


def click_urls(count: int, lengths: Sequence[int]) -> list[bytes]:
    """So many URLs, no two alike."""
    prefixes = [b"http://t.example/f/a/%d" % number for number in range(count)]
    return [prefix + b"X" * (lengths[i % len(lengths)] if lengths else 0) for i, prefix in enumerate(prefixes)]


class _CopyCheck:
    """One copy beside the original."""

    def __init__(self, plan: MessagePlan, original: bytes, wanted: Wanted) -> None:
        self.urls = None if wanted.clicks is None else click_urls(len(plan.tracked), wanted.clicks)
        images = IMAGES if wanted.images else {}
        self.values = [*(self.urls or ()), *(images.get(purpose, b"") for purpose in IMAGES)]
        self.purposes = Purpose.CLEANUP | sum(images) | (0 if self.urls is None else Purpose.CLICK)
        names = ("honeypot_url", "open_url", "initial_open_url", "amp_open_url", "amp_initial_open_url")
        urls = dict(zip(names, images.values(), strict=False))
        self.copy = b"".join(render(plan, click_urls=self.urls, clean_up=wanted.clean_up, **urls))
        self.original = original
        self.plans = {part.part.number: part for part in plan.parts}

    def compare(self, old: Part, new: Part) -> None:
        """The two trees have one shape, and whatever is no body of the message has the same octets."""
        for name in ("content_type", "parameters", "disposition", "broken", "has_file_name", "unclosed", "number"):
            assert getattr(new, name) == getattr(old, name), name
        plan = self.plans.get(old.number)
        edits = chosen(plan.edits, self.purposes) if plan else []
        if plan and edits:
            self.compare_body(plan, edits, old, new)
            return
        if not old.parts:
            assert self.new(new.start, new.end) == self.old(old.start, old.end)
            return
        assert len(new.parts) == len(old.parts)
        old_at, new_at = old.start, new.start
        for old_child, new_child in zip(old.parts, new.parts, strict=True):
            assert self.new(new_at, new_child.start) == self.old(old_at, old_child.start)
            self.compare(old_child, new_child)
            old_at, new_at = old_child.end, new_child.end
        assert self.new(new_at, new.end) == self.old(old_at, old.end)

    def compare_body(self, plan: PartPlan, edits: Sequence[Edit], old: Part, new: Part) -> None:
        """The new body, decoded, is the old one with its edits; no line of it is longer than what is allowed."""
        wanted = self.edited(plan, edits)
        old_body, new_body = self.old(old.body_start, old.end), self.new(new.body_start, new.end)
        old_header, new_header = self.old(old.start, old.body_start), self.new(new.start, new.body_start)
        if plan.encoding is Encoding.BASE64:
            assert new_header == old_header
            assert base64.b64decode(new_body) == wanted
            check_lines(new_body, old_body)
        elif plan.encoding is Encoding.QUOTED_PRINTABLE:
            assert new_header == old_header
            check_quoted_printable(new_body, wanted)
            check_lines(new_body, old_body)
        elif longest_line(wanted) > MAX_LINE or (new_header != old_header and longest_line(old_body) > MAX_LINE):
            check_converted_header(
                self.old(old.start, old.header_end), self.old(old.header_end, old.body_start), new_header
            )
            assert new.transfer_encoding == b"quoted-printable"
            check_quoted_printable(new_body, wanted)
            check_lines(new_body, b"")
        else:
            assert new_header == old_header
            assert new_body == wanted

    def edited(self, plan: PartPlan, edits: Sequence[Edit]) -> bytes:
        """The decoded text of a part after its edits, put together in the plainest way."""
        text, position, kept = b"", 0, plan.text
        unicode_text = ""
        codec = plan.codec or "ascii"
        for edit in edits:
            assert position <= edit.start <= edit.end <= len(kept)
            value = "" if edit.slot is None else self.values[edit.slot].decode("ascii")
            text += kept[position : edit.start] + edit.before + value.encode(codec) + edit.after
            if plan.codec:
                unicode_text += kept[position : edit.start].decode(codec) + edit.before.decode(codec)
                unicode_text += value + edit.after.decode(codec)
            position = edit.end
        text += kept[position:]
        if plan.codec:
            assert text.decode(codec) == unicode_text + kept[position:].decode(codec)
        return text

    def old(self, start: int, end: int) -> bytes:
        return self.original[start:end]

    def new(self, start: int, end: int) -> bytes:
        return self.copy[start:end]


def longest_line(text: bytes) -> int:
    """The length of the longest line without its line break."""
    return max(len(line.removesuffix(b"\r")) for line in text.split(b"\n"))


def check_quoted_printable(body: bytes, text: bytes) -> None:
    """`body` is whole quoted-printable, and says `text`."""
    assert not _BROKEN_ESCAPE.search(body)
    assert quopri.decodestring(body) == text


def check_lines(body: bytes, old_body: bytes) -> None:
    """Encoded lines that the original does not have are short, and do not end in white space that would get lost."""
    known = {line.removesuffix(b"\r") for line in old_body.split(b"\n")}
    blank_ends = any(line.endswith((b" ", b"\t")) for line in known)
    for line in body.split(b"\n"):
        text = line.removesuffix(b"\r")
        if text not in known:
            assert len(text) <= MAX_ENCODED_LINE, text
            assert blank_ends or not text.endswith((b" ", b"\t")), text


def check_converted_header(old_header: bytes, blank_line: bytes, new_header: bytes) -> None:
    """Only Content-Transfer-Encoding says something else, or is new and the last of the header."""
    if _ENCODING_FIELD.search(old_header):
        assert blanked(new_header) == blanked(old_header + blank_line)
        return
    added = new_header.removeprefix(old_header).removesuffix(blank_line).replace(b"\r\n", b"\n")
    assert old_header + new_header.removeprefix(old_header) == new_header
    assert added.removeprefix(b"MIME-Version: 1.0\n") == b"Content-Transfer-Encoding: quoted-printable\n"


def blanked(header: bytes) -> bytes:
    """The header without what its Content-Transfer-Encoding fields say."""
    return _ENCODING_FIELD.sub(rb"\1", header)
