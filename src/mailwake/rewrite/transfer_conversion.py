"""A message made fit for a server without 8BITMIME (RFC 6152 §3) or without BINARYMIME (RFC 3030 §3).

Only bodies that such a server cannot take are encoded, and the Content-Transfer-Encoding fields that say so; every
other octet stays.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, NamedTuple

from mailwake.message.headers import fields, find
from mailwake.message.mime_tree import MAX_DEPTH, Part, parse, parse_inside
from mailwake.rewrite.body_encoding import encode, has_bare_newline, has_mail_lines, repaired_base64
from mailwake.rewrite.charsets import LeftAlone
from mailwake.rewrite.edits import Edit, Kept, Purpose, pieces
from mailwake.rewrite.header_edits import added_fields, new_values
from mailwake.rewrite.transfer_encoding import Encoding, encoding_of
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from mailwake.rewrite.body_encoding import Domain

_SEALED = frozenset((b"multipart/signed", b"multipart/encrypted"))
_PLAIN_LABELS = frozenset((b"", b"7bit", b"7-bit", b"8bit", b"8-bit", b"binary"))
_WIDE_LABELS = frozenset((b"8bit", b"8-bit", b"binary"))
_ENCODING = b"Content-Transfer-Encoding"
_LINE_BREAK = b"\r\n"
_SEALED_REASON = "the message is signed or encrypted"
_NO_FIELD = "a line of the header is no field"

_BARE_NEWLINE_OR_NUL = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_LONG_LINE = re.compile(rb"[^\r\n]{900}(?=[^\r\n]{98})")
_HYPHENS = re.compile(rb"^--", re.MULTILINE)
_NOT_ASCII = bytes(range(0x80, 0x100))
_QUESTION_MARKS = bytes.maketrans(_NOT_ASCII, b"?" * len(_NOT_ASCII))


class ConversionImpossible(Refusal):
    """The message cannot be made fit without harm to it (RFC 3463 §3.7, X.6.3); the text says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(Reply(550, "5.6.3", f"Conversion required but not possible: {reason}"), reason)


class Converted(NamedTuple):
    """A message that any server of the domain can take."""

    content: bytes
    """The very object that came in when there was nothing to do."""

    encoded_parts: int
    """How many bodies are encoded now that were not."""

    eight_bit_header: bool
    """Whether a header still has octets beyond ASCII: what they mean nobody said (RFC 5322 §2.2), so they stay."""


def convert(content: bytes, domain: Domain) -> Converted:
    """`content` in a form that needs nothing beyond `domain`; the cost grows with its length.

    `content` is a whole message whose header and boundary lines end in CRLF, also when it came as BINARYMIME. Raises
    ConversionImpossible for what must not be changed (a signed or encrypted part, RFC 1847 §2.1) and for what readers
    may understand in different ways (damaged structure, unknown encodings).
    """
    if domain.any_lines and (domain.eight_bit or content.isascii()):
        return Converted(content, 0, eight_bit_header=False)
    conversion = _Conversion(content, domain)
    conversion.entity(parse(content, crlf_only=True), 0, is_message=True, sealed=False)
    return Converted(conversion.result(), conversion.encoded_parts, conversion.eight_bit_header)


class _Conversion:
    """The edits that one message needs, found by walking through its tree."""

    def __init__(self, content: bytes, domain: Domain) -> None:
        self.content = content
        self.domain = domain
        self.encoded_parts = 0
        self.eight_bit_header = False
        self._edits: list[Edit] = []

    def result(self) -> bytes:
        if not self._edits:
            return self.content
        content = self.content
        changed = pieces(sorted(self._edits), len(content))
        return b"".join(
            content[piece.start : piece.end] if isinstance(piece, Kept) else piece
            for piece in changed
            if not isinstance(piece, int)
        )

    def entity(self, part: Part, depth: int, *, is_message: bool, sealed: bool) -> None:
        """One part with all inside it; in a `sealed` one nothing may change."""
        self._check_header(part)
        if part.broken:
            self._check(part.body_start, part.end, f"broken MIME, {part.broken}")
        elif part.is_multipart:
            self._relabel(part, sealed=sealed)
            self._multipart(part, depth, sealed=sealed or part.content_type in _SEALED)
        elif part.content_type == b"message/rfc822" and part.transfer_encoding in _PLAIN_LABELS:
            self._relabel(part, sealed=sealed)
            self._message_inside(part, depth, sealed=sealed)
        elif part.content_type.startswith(b"message/") and not part.content_type.startswith(b"message/global"):
            # RFC 2046 §5.2 lets none of these be encoded; those of RFC 6532 and RFC 6533 may be.
            self._check(part.body_start, part.end, "a message/ part that must not be encoded")
            self._relabel(part, sealed=sealed)
        else:
            self._leaf(part, is_message=is_message, sealed=sealed)

    def _multipart(self, part: Part, depth: int, *, sealed: bool) -> None:
        position = part.body_start
        if not part.parts:  # there is a closing boundary alone
            self._check(position, part.end, "broken MIME, no parts")
            return
        for child in part.parts:
            is_first = child is part.parts[0]
            self._between(position, child.start, preamble=is_first, epilogue=False, sealed=sealed)
            self.entity(child, depth + 1, is_message=False, sealed=sealed)
            position = child.end
        self._between(position, part.end, preamble=False, epilogue=True, sealed=sealed)

    def _between(self, start: int, end: int, *, preamble: bool, epilogue: bool, sealed: bool) -> None:
        """A boundary line, with the text before the first or behind the last one, which nobody reads (§5.1.1)."""
        if self.domain.holds(self.content[start:end]):
            return
        if not sealed and preamble:
            line_start = self.content.rfind(_LINE_BREAK, start, end - 2) + 2
            boundary_start = line_start if line_start > start + 1 else start
            self._clean(start, boundary_start)
            start = boundary_start
        elif not sealed and epilogue:
            skipped = 2 if self.content.startswith(_LINE_BREAK, start, end) else 0
            line_end = self.content.find(_LINE_BREAK, start + skipped, end)
            epilogue_start = end if line_end < 0 else line_end + 2
            self._clean(epilogue_start, end)
            end = epilogue_start
        self._check(start, end, _SEALED_REASON if sealed else "a damaged boundary line")

    def _clean(self, start: int, end: int) -> None:
        text = self.content[start:end]
        if self.domain.holds(text):
            return
        if not self.domain.eight_bit:
            text = text.translate(_QUESTION_MARKS)
        if not self.domain.any_lines:
            text = _BARE_NEWLINE_OR_NUL.sub(b" ", text)
            text = _LONG_LINE.sub(rb"\g<0>\r\n ", text)
        # What has been replaced must not have made a boundary line.
        self._replace(start, end, _HYPHENS.sub(b" --", text))

    def _message_inside(self, part: Part, depth: int, *, sealed: bool) -> None:
        if depth >= MAX_DEPTH:
            self._check(part.body_start, part.end, "nested too deep")
            return
        inside = parse_inside(self.content, part, depth, crlf_only=True)
        self.entity(inside, depth + 1, is_message=True, sealed=sealed)

    def _leaf(self, part: Part, *, is_message: bool, sealed: bool) -> None:
        body = self.content[part.body_start : part.end]
        if self.domain.holds(body):
            self._relabel(part, sealed=sealed)
            return
        if sealed:
            raise ConversionImpossible(_SEALED_REASON)
        label, encoded = self._encoded(part, body)
        self._replace(part.body_start, part.end, encoded)
        self._label(part, label, body, is_message=is_message)
        self.encoded_parts += 1

    def _encoded(self, part: Part, body: bytes) -> tuple[bytes, bytes]:
        at_end = part.end == len(self.content)
        try:
            encoding = encoding_of(part)
        except LeftAlone:
            raise ConversionImpossible("a part with an unknown encoding") from None
        if encoding is Encoding.BASE64:
            return b"base64", repaired_base64(body, at_end=at_end)
        if encoding is Encoding.QUOTED_PRINTABLE:
            body = binascii.a2b_qp(body)
        return encode(body, part.content_type, at_end=at_end)

    def _label(self, part: Part, label: bytes, body: bytes, *, is_message: bool) -> None:
        """Say in the header what the body is now; a message that says nothing gets what makes it MIME."""
        header = fields(self.content, part.start, part.header_end)
        present = find(header, _ENCODING)
        self._edits += new_values(self.content, present, label)
        lines = []
        if is_message and not find(header, b"MIME-Version"):
            lines.append(b"MIME-Version: 1.0")
        if is_message and not find(header, b"Content-Type"):
            lines.append(b"Content-Type: text/plain; charset=" + _charset(body))
        if not present:
            lines.append(_ENCODING + b": " + label)
        if lines:
            self._edits.append(added_fields(self.content, part, lines, _LINE_BREAK))

    def _relabel(self, part: Part, *, sealed: bool) -> None:
        """Change a label that says more than what the body is now: no part is wider than its whole (RFC 2045 §6.4)."""
        label = part.transfer_encoding
        too_wide = label == b"binary" if self.domain.eight_bit else label in _WIDE_LABELS
        if too_wide and not sealed:
            header = fields(self.content, part.start, part.header_end)
            label = b"8bit" if self.domain.eight_bit else b"7bit"
            self._edits += new_values(self.content, find(header, _ENCODING), label)

    def _check_header(self, part: Part) -> None:
        header = self.content[part.start : part.header_end]
        if has_bare_newline(header) or not (self.domain.any_lines or has_mail_lines(header)):
            raise ConversionImpossible("a header line that is too long or not ended by CRLF")
        if self.domain.eight_bit or header.isascii():
            return
        self.eight_bit_header = True
        position = part.start
        for field in fields(self.content, part.start, part.header_end):
            self._check(position, field.start, _NO_FIELD)
            position = field.end
        self._check(position, part.header_end, _NO_FIELD)

    def _check(self, start: int, end: int, reason: str) -> None:
        """Raise ConversionImpossible unless this may stay as it is."""
        if not self.domain.holds(self.content[start:end]):
            raise ConversionImpossible(reason)

    def _replace(self, start: int, end: int, text: bytes) -> None:
        self._edits.append(Edit(start, end, Purpose.CLEANUP, text))


def _charset(body: bytes) -> bytes:
    """The charset of a body about which its message says nothing; RFC 1428 §3 has a name for octets nobody explains."""
    if body.isascii():
        return b"us-ascii"
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return b"unknown-8bit"
    return b"utf-8"
