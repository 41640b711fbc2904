"""Quoted-printable bodies changed in place: only lines that hold a change are folded anew (RFC 2045 §6.7).

The original is cut at the changes, in its encoded form. Most of a copy is therefore the sender's own bytes, with the
soft line breaks where they were; what a copy costs is the folding of its URLs.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from mailwake.rewrite.body_template import MAX_ENCODED_LINE, in_codec
from mailwake.rewrite.edits import Edit, Kept, pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EQUALS = 0x3D
_DASH = b"=2D"
_BEFORE_SOFT_BREAK = MAX_ENCODED_LINE - 1
_LINE_ENDS = (b"\r", b"\n", b"")
_NOT_LITERAL = re.compile(rb"[^\t\r\n\x20-\x3c\x3e-\x7e]|\r(?!\n)|[ \t](?=\r?\n|\Z)")
_NOT_LITERAL_IN_BINARY = re.compile(rb"[^\x21-\x3c\x3e-\x7e]")


class _Step(NamedTuple):
    """A slot and the literal that follows it up to the next slot."""

    slot: int
    literal: bytes
    room: int
    """Columns that the literal needs on the line where the slot's value ends."""
    last_column: int
    """The column in which it ends; -1 when it has no line break and so ends on the line of the value."""


class QuotedPrintableBody:
    """A quoted-printable body with slots; its values are ASCII without `=`."""

    def __init__(self, encoded: Iterable[bytes | int], line_break: bytes, codec: str | None) -> None:
        """`encoded` are pieces of the body in quoted-printable, and slot numbers; `codec` see `in_codec`."""
        self._codec = codec
        self._soft_break = b"=" + line_break
        literals: list[list[bytes]] = [[]]
        slots: list[int] = []
        for piece in encoded:
            if isinstance(piece, int):
                slots.append(piece)
                literals.append([])
            elif piece:
                literals[-1].append(piece)
        self._head = self._joined(literals[0], at_start=True, before_slot=bool(slots))
        self._head_column = len(self._head) - self._head.rfind(b"\n") - 1
        self._steps = [self._step(slot, literals[i + 1], is_last=i + 1 == len(slots)) for i, slot in enumerate(slots)]

    def append_to(self, out: list[bytes], values: Sequence[bytes]) -> None:
        """Append the body's bytes with these values in its slots; no line that holds one is longer than 76 bytes."""
        if self._codec is not None:
            values = [_escaped_binary(in_codec(value, self._codec)) for value in values]
        append = out.append
        append(self._head)
        column = self._head_column
        for slot, literal, room, last_column in self._steps:
            value = values[slot]
            if column + len(value) <= _BEFORE_SOFT_BREAK:
                append(value)
                column += len(value)
            else:
                column = self._append_folded(out, value, column)
            if column + room > MAX_ENCODED_LINE:
                append(self._soft_break)
                column = 0
            append(literal)
            column = column + len(literal) if last_column < 0 else last_column

    def _append_folded(self, out: list[bytes], value: bytes, column: int) -> int:
        """Append a value that does not fit on its line; the column in which it ends."""
        start, room, length = 0, _BEFORE_SOFT_BREAK - column, len(value)
        while length - start > room:
            end = start + room if self._codec is None else _whole_escapes(value, start, start + room)
            out.append(value[start:end])
            out.append(self._soft_break)
            start, room = end, _BEFORE_SOFT_BREAK
        out.append(value[start:])
        return length - start

    def _step(self, slot: int, literal_pieces: Sequence[bytes], *, is_last: bool) -> _Step:
        first, *others = literal_pieces or [b""]
        if b"".join((first, *others[:1])).startswith(b"--"):
            literal_pieces = [_DASH + first[1:], *others]  # it may come to stand behind a soft line break
        literal = self._joined(literal_pieces, at_start=False, before_slot=not is_last)
        line_feed = literal.find(b"\n")
        if line_feed < 0:
            # What is followed by a slot may have to be followed by a soft break.
            return _Step(slot, literal, len(literal) + (0 if is_last else 1), -1)
        room = line_feed - literal.endswith(b"\r", 0, line_feed)
        return _Step(slot, literal, room, len(literal) - literal.rfind(b"\n") - 1)

    def _joined(self, literal_pieces: Sequence[bytes], *, at_start: bool, before_slot: bool) -> bytes:
        """The pieces as one; each line in which two of them meet, or which a slot shares, is folded if too long."""
        out: list[bytes] = []
        line: list[bytes] = []
        changed = not at_start
        for piece in literal_pieces:
            first, line_feed, rest = piece.partition(b"\n")
            if not line_feed:
                line.append(piece)
                changed = changed or len(line) > 1
                continue
            if changed or line:
                self._append_line(out, line, first)
                out.append(b"\n")
            else:
                out.append(first + b"\n")
            whole, line_feed, last = rest.rpartition(b"\n")
            out.append(whole + line_feed)
            line, changed = [last] if last else [], False
        last_line = b"".join(line)
        if changed or before_slot:
            last_line = self._folded(last_line, _BEFORE_SOFT_BREAK if before_slot else MAX_ENCODED_LINE)
        out.append(last_line)
        return b"".join(out)

    def _append_line(self, out: list[bytes], line: Sequence[bytes], end: bytes) -> None:
        """Append a changed line that a line feed ends; `end` is its last piece, with the carriage return if any."""
        text = b"".join(line)
        if end in (b"", b"\r") and text.endswith((b" ", b"\t")):
            # White space at the end of a line would be lost (RFC 2045 §6.7 rule 3).
            text = text[:-1] + b"=%02X" % text[-1]
        text += end
        content = text.removesuffix(b"\r")
        out.append(self._folded(content, MAX_ENCODED_LINE))
        out.append(text[len(content) :])

    def _folded(self, line: bytes, longest_last: int) -> bytes:
        """The line with soft breaks where it needs them, its last part no longer than `longest_last`."""
        return line if len(line) <= longest_last else self._soft_break.join(_in_parts(line, longest_last))


def from_encoded(raw: bytes, edits: Sequence[Edit], line_break: bytes, codec: str | None) -> QuotedPrintableBody:
    """A body that arrived in quoted-printable; the edits are offsets into its decoded text."""
    positions = _EncodedPositions(raw)
    located = []
    for start, end, purpose, before, slot, after in edits:
        encoded_start = positions.start(start)
        encoded_end = positions.end(end) if end > start else encoded_start
        located.append(Edit(encoded_start, encoded_end, purpose, before, slot, after))
    encoded = (
        raw[piece.start : piece.end]
        if isinstance(piece, Kept)
        else piece
        if isinstance(piece, int)
        else escaped(piece, codec)
        for piece in pieces(located, len(raw))
    )
    return QuotedPrintableBody(encoded, line_break, codec)


def from_text(text: bytes, edits: Sequence[Edit], line_break: bytes, codec: str | None = None) -> QuotedPrintableBody:
    """A body that arrived unencoded and whose lines have become too long."""
    encoded = (
        piece
        if isinstance(piece, int)
        else _encoded_text(text[piece.start : piece.end], line_break)
        if isinstance(piece, Kept)
        else escaped(piece, None)
        for piece in pieces(edits, len(text))
    )
    return QuotedPrintableBody(encoded, line_break, codec)


def escaped(literal: bytes, codec: str | None) -> bytes:
    """New text in quoted-printable, on one line; a codec says that ASCII is written otherwise in its charset."""
    return _NOT_LITERAL.sub(_escape, literal) if codec is None else _escaped_binary(literal)


def _escaped_binary(literal: bytes) -> bytes:
    return _NOT_LITERAL_IN_BINARY.sub(_escape, literal)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]


def _encoded_text(text: bytes, line_break: bytes) -> bytes:
    soft_break = b"=" + line_break
    lines = _NOT_LITERAL.sub(_escape, text).split(b"\n")
    return b"\n".join([line if len(line) <= MAX_ENCODED_LINE else folded_line(line, soft_break) for line in lines])


def folded_line(line: bytes, soft_break: bytes) -> bytes:
    """An encoded line, longer than 76 octets, in parts that are not; its carriage return may stand at its end."""
    content = line.removesuffix(b"\r")
    return soft_break.join(_in_parts(content, MAX_ENCODED_LINE)) + line[len(content) :]


def _in_parts(line: bytes, longest_last: int) -> list[bytes]:
    """The line in parts to be joined by soft breaks, the last one no longer than `longest_last`.

    No part but the first starts with two hyphens: on a line of its own such text could be read as a boundary.
    """
    parts, start, before = [], 0, b""
    while len(before) + len(line) - start > longest_last:
        end = _whole_escapes(line, start, start + _BEFORE_SOFT_BREAK - len(before))
        parts.append(before + line[start:end])
        start, before = end, b""
        if line.startswith(b"--", start):
            start, before = start + 1, _DASH
    parts.append(before + line[start:])
    return parts


def _whole_escapes(line: bytes, start: int, end: int) -> int:
    """`end`, or where the escape starts that would be cut in two there."""
    if end > start and line[end - 1] == _EQUALS:
        return end - 1
    if end > start + 1 and line[end - 2] == _EQUALS:
        return end - 2
    return end


class _EncodedPositions:
    """Where an offset into the decoded text stands in the encoded body.

    The body is cut at its equals signs: behind each stand two digits, which are one octet of the text, or a line break,
    which is none of it; from there to the next one the text stands as it is.
    """

    def __init__(self, raw: bytes) -> None:
        pieces_of_raw = raw.split(b"=")
        lengths = [len(piece) for piece in pieces_of_raw]
        encoded = list(accumulate([length + 1 for length in lengths], initial=-1))
        encoded[0] = 0
        text_lengths = [length - 1 - (piece[:1] == b"\r") for length, piece in zip(lengths, pieces_of_raw, strict=True)]
        text_lengths[0] = lengths[0]
        self._encoded, self._raw = encoded, raw
        self._decoded = list(accumulate(text_lengths[:-1], initial=0))

    def start(self, offset: int) -> int:
        """Where a change that starts at `offset` starts: behind a soft line break that stands there."""
        return self._within(bisect_right(self._decoded, offset) - 1, offset)

    def end(self, offset: int) -> int:
        """Where a change that ends at `offset` (over 0) ends: before a soft line break that stands there."""
        return self._within(bisect_left(self._decoded, offset) - 1, offset)

    def _within(self, index: int, offset: int) -> int:
        equals, behind = self._encoded[index], offset - self._decoded[index]
        if index == 0:
            return behind
        first = self._raw[equals + 1 : equals + 2]
        if first not in _LINE_ENDS:
            return equals + behind + 2 if behind else equals
        line_break = 3 if first == b"\r" else 2
        if equals + line_break >= len(self._raw):  # nothing stands behind the last soft line break
            return equals
        return equals + line_break + behind
