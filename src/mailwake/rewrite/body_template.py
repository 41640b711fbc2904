"""A part's body with places for what differs from copy to copy: as it is, and in base64.

Quoted-printable has a module of its own. A body is built once a message; `append_to` is what each copy costs.
"""

from __future__ import annotations

import binascii
import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailwake.rewrite.edits import Edit

MAX_LINE = 998
"""The longest line of a message without its line break (RFC 5321 §4.5.3.1.6)."""
MAX_ENCODED_LINE = 76
"""The longest line of quoted-printable and base64 (RFC 2045 §6.7, §6.8)."""


_SHORTEST_LINE = 16
_LINES_AT_ONCE = 32


class BodyTemplate(Protocol):
    """What every kind of body can do."""

    def append_to(self, out: list[bytes], values: Sequence[bytes]) -> None:
        """Append the body's bytes with these values in its slots."""


class PlainBody:
    """A body that is written as it is (7bit, 8bit, binary)."""

    def __init__(self, text: bytes, edits: Sequence[Edit], codec: str | None = None) -> None:
        self._codec = codec
        self._template, self._slots = literals_and_slots(text, edits)
        # Edits can join lines: an attribute that is removed takes the line break before it along.
        self._has_long_line = has_long_line(b"".join(self._template))
        self._lines = _lines_with_slots(self._template, self._slots)
        # While no value is longer than this, every line fits, and nothing more is to be computed.
        self._safe_length = min([(MAX_LINE - fixed) // len(slots) for fixed, slots in self._lines], default=MAX_LINE)

    def fits(self, values: Sequence[bytes], longest: int) -> bool:
        """Whether every line of the body is at most 998 bytes; `longest` is the length of the longest value."""
        if self._has_long_line:
            return False
        if self._codec is not None:
            values = [in_codec(value, self._codec) for value in values]
            longest = max(map(len, values), default=0)
        if longest <= self._safe_length:
            return True
        return all(fixed + sum([len(values[slot]) for slot in slots]) <= MAX_LINE for fixed, slots in self._lines)

    def append_to(self, out: list[bytes], values: Sequence[bytes]) -> None:
        """Append the body's bytes with these values in its slots."""
        copy = self._template.copy()
        if self._codec is not None:
            values = [in_codec(value, self._codec) for value in values]
        copy[1::2] = [values[slot] for slot in self._slots]
        out += copy


class Base64Body:
    """A body in base64: lines before the first change stay, the rest is encoded anew with lines of the same length."""

    def __init__(self, raw: bytes, text: bytes, edits: Sequence[Edit], codec: str | None) -> None:
        self._codec = codec
        content = raw.rstrip(b" \t\r\n")
        self._tail = raw[len(content) :]
        self._line_break = b"\r\n" if b"\r\n" in raw or b"\n" not in raw else b"\n"
        lines = content.split(b"\n")
        first_line = len(lines[0].strip())
        # A body of one line, or of very short ones, says nothing about how long its lines are meant to be.
        usual = len(lines) > 1 and _SHORTEST_LINE <= first_line <= MAX_ENCODED_LINE
        self._line_length = first_line if usual else MAX_ENCODED_LINE
        # Many lines at once: three times as fast as slices.
        self._block = struct.Struct(f"{self._line_length}s" * _LINES_AT_ONCE)
        head_length, decoded_start = _unchanged_head(lines, edits[0].start if edits else len(text))
        self._head = content[:head_length]
        self._template, self._slots = literals_and_slots(text, edits, decoded_start)

    def append_to(self, out: list[bytes], values: Sequence[bytes]) -> None:
        """Append the body's bytes with these values in its slots."""
        copy = self._template.copy()
        copy[1::2] = [in_codec(values[slot], self._codec) for slot in self._slots]
        encoded = binascii.b2a_base64(b"".join(copy), newline=False)
        out.append(self._head)
        out.append(self._line_break.join(self._in_lines(encoded)))
        out.append(self._tail)

    def _in_lines(self, encoded: bytes) -> list[bytes]:
        lines: list[bytes] = []
        take, size = self._block.unpack_from, self._block.size
        for position in range(0, len(encoded) - size + 1, size):
            lines += take(encoded, position)
        length = self._line_length
        rest = len(lines) * length
        lines += [encoded[i : i + length] for i in range(rest, len(encoded), length)]
        return lines


def in_codec(value: bytes, codec: str | None) -> bytes:
    """An ASCII value in a charset in which ASCII is written otherwise; None: as it is."""
    return value if codec is None else value.decode("ascii").encode(codec)


def literals_and_slots(text: bytes, edits: Iterable[Edit], start: int = 0) -> tuple[list[bytes], list[int]]:
    """`text` from `start` on after these edits: literals with an empty place between each two, and the slot of each."""
    template: list[bytes] = []
    slots: list[int] = []
    literal: list[bytes] = []
    for edit_start, edit_end, _, before, slot, after in edits:
        literal.append(text[start:edit_start])
        literal.append(before)
        if slot is not None:
            slots.append(slot)
            template += (b"".join(literal), b"")
            literal = []
        literal.append(after)
        start = edit_end
    literal.append(text[start:])
    template.append(b"".join(literal))
    return template, slots


def has_long_line(text: bytes) -> bool:
    """Whether a line of the text is longer than 998 bytes."""
    start, length = 0, len(text)
    while length - start > MAX_LINE:
        line_feed = text.rfind(b"\n", start, start + MAX_LINE + 1)
        if line_feed < 0:
            line_feed = start + MAX_LINE + 1
            if text[line_feed - 1 : line_feed + 1] != b"\r\n":
                return True
        start = line_feed + 1
    return False


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


def _lines_with_slots(template: Sequence[bytes], slots: Sequence[int]) -> list[tuple[int, list[int]]]:
    """(bytes beside its slots, slots) for each line that has any."""
    lines: list[tuple[int, list[int]]] = []
    fixed, on_line = 0, list[int]()
    for place, literal in enumerate(template):
        if place % 2:
            on_line.append(slots[place // 2])
            continue
        line_feed = literal.find(b"\n")
        if line_feed < 0:
            fixed += len(literal)
            continue
        if on_line:
            lines.append((fixed + line_feed - literal.endswith(b"\r", 0, line_feed), on_line))
            on_line = []
        fixed = len(literal) - literal.rfind(b"\n") - 1
    if on_line:
        lines.append((fixed, on_line))
    return lines
