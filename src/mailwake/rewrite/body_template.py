"""A part's body with places for what differs from copy to copy: as it is, and in base64.

Quoted-printable has a module of its own. A body is built once a message; `append_to` is what each copy costs.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Protocol

from mailwake.rewrite.edits import Edit, Kept, pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_LINE = 998
"""The longest line of a message without its line break (RFC 5321 §4.5.3.1.6)."""
MAX_ENCODED_LINE = 76
"""The longest line of quoted-printable and base64 (RFC 2045 §6.7, §6.8)."""


class BodyTemplate(Protocol):
    """What every kind of body can do."""

    def append_to(self, out: list[bytes], values: Sequence[bytes]) -> None:
        """Append the body's bytes with these values in its slots."""


class PlainBody:
    """A body that is written as it is (7bit, 8bit, binary)."""

    def __init__(self, text: bytes, edits: Sequence[Edit]) -> None:
        self._template, self._slots = literals_and_slots(pieces(edits, len(text)), text)
        self._lines, self.static_line = _lines_with_slots(self._template, dict(self._slots))
        # While no value is longer than this, every line fits, and nothing more is to be computed.
        self._safe_length = min(((MAX_LINE - fixed) // len(slots) for fixed, slots in self._lines), default=MAX_LINE)

    def fits(self, values: Sequence[bytes], longest: int) -> bool:
        """Whether every line of the body is at most 998 bytes; `longest` is the length of the longest value."""
        if self.static_line > MAX_LINE:
            return False
        if longest <= self._safe_length:
            return True
        return all(fixed + sum(len(values[slot]) for slot in slots) <= MAX_LINE for fixed, slots in self._lines)

    def append_to(self, out: list[bytes], values: Sequence[bytes]) -> None:
        """Append the body's bytes with these values in its slots."""
        copy = self._template.copy()
        for position, slot in self._slots:
            copy[position] = values[slot]
        out += copy


class Base64Body:
    """A body in base64: lines before the first change stay, the rest is encoded anew with lines of the same length."""

    def __init__(self, raw: bytes, text: bytes, edits: Sequence[Edit], codec: str | None) -> None:
        self._codec = codec
        content = raw.rstrip(b" \t\r\n")
        self._tail = raw[len(content) :]
        self._line_break = b"\r\n" if b"\r\n" in raw or b"\n" not in raw else b"\n"
        lines = content.split(b"\n")
        self._line_length = min(len(lines[0].strip()), MAX_ENCODED_LINE) or MAX_ENCODED_LINE
        head_length, decoded_start = _unchanged_head(lines, edits[0].start if edits else len(text))
        self._head = content[:head_length]
        kept_and_new = list(pieces(edits, len(text)))
        kept_and_new[0] = Kept(decoded_start, edits[0].start if edits else len(text))
        self._template, self._slots = literals_and_slots(kept_and_new, text)

    def append_to(self, out: list[bytes], values: Sequence[bytes]) -> None:
        """Append the body's bytes with these values in its slots."""
        copy = self._template.copy()
        for position, slot in self._slots:
            copy[position] = in_codec(values[slot], self._codec)
        encoded = binascii.b2a_base64(b"".join(copy), newline=False)
        length = self._line_length
        out.append(self._head)
        out.append(self._line_break.join([encoded[i : i + length] for i in range(0, len(encoded), length)]))
        out.append(self._tail)


def in_codec(value: bytes, codec: str | None) -> bytes:
    """An ASCII value in a charset in which ASCII is written otherwise; None: as it is."""
    return value if codec is None else value.decode("ascii").encode(codec)


def literals_and_slots(parts: Iterable[Kept | bytes | int], text: bytes) -> tuple[list[bytes], list[tuple[int, int]]]:
    """A list of literals with an empty place for each slot, and (place, slot) for each of them."""
    template: list[bytes] = []
    slots: list[tuple[int, int]] = []
    literal: list[bytes] = []
    for piece in parts:
        if isinstance(piece, int):
            template.append(b"".join(literal))
            literal = []
            slots.append((len(template), piece))
            template.append(b"")
        else:
            literal.append(text[piece.start : piece.end] if isinstance(piece, Kept) else piece)
    template.append(b"".join(literal))
    return template, slots


def _unchanged_head(lines: Sequence[bytes], first_change: int) -> tuple[int, int]:
    """(length of the lines that stay, number of bytes they decode to) for a change at that offset of the decoded text.

    Only lines that end on a group of four characters can be parted from the rest.
    """
    head_length = decoded = length = characters = 0
    for line in lines[:-1]:
        length += len(line) + 1
        characters += len(line.translate(None, b" \t\r"))
        if characters // 4 * 3 > first_change:
            break
        if characters % 4 == 0:
            head_length, decoded = length, characters // 4 * 3
    return head_length, decoded


def _lines_with_slots(
    template: Sequence[bytes], slot_at: dict[int, int]
) -> tuple[list[tuple[int, tuple[int, ...]]], int]:
    """(bytes beside its slots, slots) for each line that has any, and the length of the longest line without slots."""
    lines: list[tuple[int, tuple[int, ...]]] = []
    longest_static = fixed = 0
    slots: tuple[int, ...] = ()
    for place, literal in enumerate(template):
        if place in slot_at:
            slots += (slot_at[place],)
            continue
        first, *others = literal.split(b"\n")
        fixed += len(first)
        if others:
            carriage_return = 1 if first.endswith(b"\r") else 0
            if slots:
                lines.append((fixed - carriage_return, slots))
            *whole, last = others
            longest_static = max(longest_static, 0 if slots else fixed - carriage_return, _longest(whole))
            fixed, slots = len(last), ()
    if slots:
        lines.append((fixed, slots))
    return lines, longest_static if slots else max(longest_static, fixed)


def _longest(lines: Sequence[bytes]) -> int:
    length = max(map(len, lines), default=0)
    if length <= MAX_LINE:
        return length  # near enough: only what is over the limit has to be exact
    return max(len(line) - line.endswith(b"\r") for line in lines)
