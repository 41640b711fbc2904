"""Bodies brought into a transfer encoding, for servers that do not take them as they are (RFC 2045 §6)."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.rewrite.body_template import MAX_ENCODED_LINE, has_long_line
from mailwake.rewrite.quoted_printable import folded_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_BREAK = b"\r\n"
_SOFT_BREAK = b"=\r\n"
_BLOCK = 256 << 10
_HYPHEN = b"=2D"
_LITERAL = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x3D), *range(0x3E, 0x7F)])
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NO_BASE64 = bytes(set(range(256)) - set(_BASE64))
_LINE_TYPES = (b"text/", b"message/")


@dataclass(frozen=True, slots=True)
class Domain:
    """What a body may be made of without an encoding: 7bit, 8bit or binary data (RFC 2045 §2.7–§2.9)."""

    eight_bit: bool
    """Octets beyond ASCII."""

    any_lines: bool
    """Lines of any length, CR and LF that stand alone, and NUL."""

    def holds(self, octets: bytes) -> bool:
        """Whether these octets may be passed on as they are."""
        return (self.eight_bit or octets.isascii()) and (self.any_lines or has_mail_lines(octets))


def has_mail_lines(octets: bytes) -> bool:
    """Whether all lines end in CRLF and have at most 998 octets, and there is no NUL (RFC 2045 §2.7)."""
    return not (has_bare_newline(octets) or b"\0" in octets or has_long_line(octets))


def has_bare_newline(octets: bytes) -> bool:
    """Whether a CR or LF stands alone."""
    pairs = octets.count(_LINE_BREAK)
    return octets.count(b"\r") != pairs or octets.count(b"\n") != pairs


def encode(body: bytes, content_type: bytes, *, at_end: bool) -> tuple[bytes, bytes]:
    """(name of the encoding, body in it): quoted-printable for text that stays legible, base64 for all else.

    Legible is what has CRLF line ends and at most one octet in four to be escaped (a tenth longer than in base64).
    `at_end` says that the message ends with this body: then its last line is ended, too.
    """
    if content_type.startswith(_LINE_TYPES) and _stays_legible(body):
        return b"quoted-printable", quoted_printable(body, at_end=at_end)
    return b"base64", base64_lines(binascii.b2a_base64(body, newline=False), at_end=at_end)


def quoted_printable(text: bytes, *, at_end: bool = False) -> bytes:
    """Text with CRLF line ends in quoted-printable; none of its lines can be a boundary."""
    encoded = b"".join(map(_quoted_printable_lines, _blocks(text)))
    # A last line without a line end gets one that is not part of the text.
    return encoded + _SOFT_BREAK if at_end and not encoded.endswith(_LINE_BREAK) else encoded


def base64_lines(characters: bytes, *, at_end: bool = False) -> bytes:
    """Characters of base64 in lines."""
    lines = [characters[i : i + MAX_ENCODED_LINE] for i in range(0, len(characters), MAX_ENCODED_LINE)]
    if at_end:
        lines.append(b"")
    return _LINE_BREAK.join(lines)


def repaired_base64(body: bytes, *, at_end: bool) -> bytes:
    """A base64 body without what readers must ignore in it (§6.8), in lines of the usual length."""
    return base64_lines(body.translate(None, _NO_BASE64), at_end=at_end)


def _stays_legible(text: bytes) -> bool:
    mostly_literal = len(text.translate(None, _LITERAL)) <= len(text) // 4
    return mostly_literal and b"\0" not in text and not has_bare_newline(text)


def _blocks(text: bytes) -> Iterator[bytes]:
    """The text in whole lines: the library lets no other thread run while it works on one block."""
    start = 0
    while start < len(text):
        line_end = text.find(_LINE_BREAK, start + _BLOCK)
        end = len(text) if line_end < 0 else line_end + len(_LINE_BREAK)
        yield text[start:end]
        start = end


def _quoted_printable_lines(text: bytes) -> bytes:
    # The library takes its line ends from the text: it is given one.
    lines = binascii.b2a_qp(text + _LINE_BREAK).split(_LINE_BREAK)[:-1]
    return _LINE_BREAK.join(
        [line if len(line) <= MAX_ENCODED_LINE and line[:2] != b"--" else _amended(line) for line in lines]
    )


def _amended(line: bytes) -> bytes:
    """A line that could be a boundary, or that became too long when white space at its end was escaped."""
    if line.startswith(b"--"):
        line = _HYPHEN + line[1:]
    return line if len(line) <= MAX_ENCODED_LINE else folded_line(line, _SOFT_BREAK)
