"""Which parts of a message are its body: the only ones that tracking may touch (1-injection §4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mailwake.message.mime_tree import Part

KINDS = {b"text/html": "html", b"text/plain": "text", b"text/x-amp-html": "amp"}
"""The media types that are looked for, by the name that links and reports give them."""

_SEALED = {b"multipart/signed": "signed", b"multipart/encrypted": "encrypted"}
_SMIME = frozenset((b"application/pkcs7-mime", b"application/x-pkcs7-mime"))
_BODY_DISPOSITIONS = frozenset((b"", b"inline"))


class SkippedPart(NamedTuple):
    """A part that was left alone although it might hold links, and why: one of a small set of reasons."""

    where: str
    reason: str


@dataclass(slots=True)
class TopParts:
    """The first part of each kind that is a body, and what was passed over on the way."""

    by_kind: dict[str, Part] = field(default_factory=dict)
    skipped: list[SkippedPart] = field(default_factory=list)


def top_parts(root: Part) -> TopParts:
    """Find the parts that are the body of the message.

    Attachments, messages inside the message, signed and encrypted parts, and what cannot be understood are passed over;
    a part with the name of a file is an attachment unless it is all of the message.
    """
    found = TopParts()
    _visit(root, root, found)
    return found


def describe(part: Part) -> str:
    """The part's place and type, for reports: "part 1.2 text/html"."""
    media_type = part.content_type.decode("ascii", "replace")
    return f"part {part.number} {media_type}" if part.number else f"message {media_type}"


def _visit(part: Part, root: Part, found: TopParts) -> None:
    if part.broken:
        found.skipped.append(SkippedPart(describe(part), f"broken MIME: {part.broken}"))
        return
    reason = "signed" if part.content_type in _SMIME else _SEALED.get(part.content_type)
    if reason is not None:
        found.skipped.append(SkippedPart(describe(part), reason))
    elif part.is_multipart:
        for child in _in_order(part):
            _visit(child, root, found)
    elif part is root or (part.disposition in _BODY_DISPOSITIONS and not part.has_file_name):
        kind = KINDS.get(part.content_type)
        if kind is not None:
            found.by_kind.setdefault(kind, part)


def _in_order(part: Part) -> list[Part]:
    """The parts inside; of multipart/related the one that its `start` names comes first (RFC 2387 §3.2)."""
    start = part.parameters.get(b"start", b"").strip()
    if not start or part.content_type != b"multipart/related":
        return part.parts
    return sorted(part.parts, key=lambda child: child.content_id != start)
