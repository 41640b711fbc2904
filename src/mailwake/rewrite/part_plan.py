"""One part of the body: read once, with every edit that any copy may need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.html.scanner import scan
from mailwake.rewrite import html_links, macros, open_pixel, text_links
from mailwake.rewrite.body_template import Base64Body, BodyTemplate, PlainBody
from mailwake.rewrite.charsets import LeftAlone, WorkingText, back_to_charset, working_text
from mailwake.rewrite.edits import Edit, Purpose, chosen
from mailwake.rewrite.quoted_printable import QuotedPrintableBody, from_encoded, from_text
from mailwake.rewrite.transfer_encoding import Encoding, decode, encoding_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.message.mime_tree import Part
    from mailwake.rewrite.found_links import LinkCollector
    from mailwake.rewrite.settings import RewriteSettings

# In HTML it stands behind a tag, as in `<pre>-----BEGIN …`.
_INLINE_PGP = re.compile(rb"(?:^|>)[ \t]*+-----BEGIN PGP (?:SIGNED )?MESSAGE-----", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PartPlan:
    """A part with its decoded text and all edits, as offsets into that text."""

    part: Part
    kind: str
    encoding: Encoding
    raw: bytes
    text: bytes
    codec: str | None
    """The codec of a charset in which ASCII is written otherwise; None for all others."""
    edits: tuple[Edit, ...]

    @property
    def takes_images(self) -> bool:
        """Whether an image that reports an open can be put into this part."""
        return any(edit.purpose & (Purpose.OPEN | Purpose.AMP_OPEN) for edit in self.edits)

    def body(self, purposes: int, line_break: bytes) -> BodyTemplate | None:
        """The body with slots for these purposes; None when nothing in it changes."""
        edits = chosen(self.edits, purposes)
        if not edits:
            return None
        if self.encoding is Encoding.PLAIN:
            return PlainBody(self.text, edits, self.codec)
        if self.encoding is Encoding.BASE64:
            return Base64Body(self.raw, self.text, edits, self.codec)
        return from_encoded(self.raw, edits, line_break, self.codec)

    def body_in_quoted_printable(self, purposes: int, line_break: bytes) -> QuotedPrintableBody:
        """The body of a part that is not encoded, for copies in which a line would be too long."""
        return from_text(self.text, chosen(self.edits, purposes), line_break, self.codec)


def plan_part(content: bytes, part: Part, kind: str, collector: LinkCollector, settings: RewriteSettings) -> PartPlan:
    """Scan one part; its links go to `collector`. Raises LeftAlone, before it has given any link away."""
    if kind != "text" and part.body_start == part.header_end:
        # There is no blank line: an image would stand in the header.
        raise LeftAlone("no body")
    encoding = encoding_of(part)
    raw = content[part.body_start : part.end]
    body = decode(raw, encoding)
    text = working_text(body, part.charset)
    if encoding is Encoding.PLAIN and (text.shifting_codec or "").startswith(("utf-16", "utf-32")):
        # It has no lines of bytes, so it could be neither measured nor folded (and RFC 2046 §4.1.1 forbids it).
        raise LeftAlone("charset needs an encoding")
    if b"-----BEGIN PGP" in text.octets and _INLINE_PGP.search(text.octets):
        raise LeftAlone("pgp inline")
    mark = collector.mark()
    edits = (
        _text_edits(text, part, collector, settings) if kind == "text" else _html_edits(text, kind, collector, settings)
    )
    try:
        edits = _in_the_part(text, body, edits)
    except LeftAlone:
        collector.take_back(mark)
        raise
    return PartPlan(part, kind, encoding, raw, body, text.shifting_codec, tuple(edits))


def _html_edits(text: WorkingText, kind: str, collector: LinkCollector, settings: RewriteSettings) -> list[Edit]:
    document = text.octets
    scanned = scan(document)
    edits = html_links.find(document, scanned, text.codec, kind, collector, settings)
    edits += macros.double_curly_edits(document)
    if settings.open_pixel == "macro":
        edits += open_pixel.placed_edits(macros.open_pixel_spans(document), amp=kind == "amp")
    else:
        edits += open_pixel.body_edits(document, scanned, amp=kind == "amp")
    return edits


def _text_edits(text: WorkingText, part: Part, collector: LinkCollector, settings: RewriteSettings) -> list[Edit]:
    flowed = part.parameters.get(b"format", b"").lower() == b"flowed"
    joined_lines = flowed and part.parameters.get(b"delsp", b"").lower() == b"yes"
    edits = text_links.find(text.octets, text.codec, collector, settings, joined_lines=joined_lines)
    edits += macros.double_curly_edits(text.octets)
    return edits


def _in_the_part(text: WorkingText, body: bytes, edits: Sequence[Edit]) -> list[Edit]:
    """The edits as offsets into the part's own text, with new text in its own charset."""
    if text.shifting_codec is None:
        return list(edits)
    codec = text.shifting_codec
    offsets = back_to_charset(text, body, [offset for edit in edits for offset in (edit.start, edit.end)])
    return [
        edit._replace(
            start=offsets[edit.start],
            end=offsets[edit.end],
            before=edit.before.decode("utf-8").encode(codec),
            after=edit.after.decode("utf-8").encode(codec),
        )
        for edit in edits
    ]
