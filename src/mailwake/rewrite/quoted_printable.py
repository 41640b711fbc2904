"""Quoted-printable bodies changed in place: only lines that hold a change are folded anew (RFC 2045 §6.7).

The original is cut at the changes, in its encoded form. Most of a copy is therefore the sender's own bytes, with the
soft line breaks where they were; what a copy costs is the folding of its URLs.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
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
_LONGEST_SEARCHED = 256
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
    located = [
        edit._replace(
            start=positions.start(edit.start),
            end=positions.end(edit.end) if edit.end > edit.start else positions.start(edit.start),
        )
        for edit in edits
    ]
    encoded = (
        raw[piece.start : piece.end]
        if isinstance(piece, Kept)
        else piece
        if isinstance(piece, int)
        else escaped(piece, codec)
        for piece in pieces(located, len(raw))
    )
    return QuotedPrintableBody(encoded, line_break, codec)


def from_text(text: bytes, edits: Sequence[Edit], line_break: bytes) -> QuotedPrintableBody:
    """A body that arrived unencoded and whose lines have become too long."""
    encoded = (
        piece
        if isinstance(piece, int)
        else _encoded_text(text[piece.start : piece.end], line_break)
        if isinstance(piece, Kept)
        else escaped(piece, None)
        for piece in pieces(edits, len(text))
    )
    return QuotedPrintableBody(encoded, line_break, None)


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
    return b"\n".join([line if len(line) <= MAX_ENCODED_LINE else _folded_line(line, soft_break) for line in lines])


def _folded_line(line: bytes, soft_break: bytes) -> bytes:
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


def _short_pieces(line: bytes) -> list[bytes]:
    """The line in pieces that are quick to search, none of which ends inside an escape or a soft break."""
    pieces_of_line, start = [], 0
    while len(line) - start > _LONGEST_SEARCHED:
        end = _whole_escapes(line, start, start + _LONGEST_SEARCHED - 3)
        pieces_of_line.append(line[start:end])
        start = end
    pieces_of_line.append(line[start:])
    return pieces_of_line


class _EncodedPositions:
    """Where an offset into the decoded text stands in the encoded body."""

    def __init__(self, raw: bytes) -> None:
        self._lines = raw.splitlines(keepends=True) or [b""]
        if max(map(len, self._lines)) > _LONGEST_SEARCHED:
            self._lines = [piece for line in self._lines for piece in _short_pieces(line)]
        self._encoded = list(accumulate(map(len, self._lines), initial=0))
        self._decoded = list(accumulate(map(len, map(a2b_qp, self._lines)), initial=0))

    def start(self, offset: int) -> int:
        """Where a change that starts at `offset` starts: between two lines on the second one."""
        return self._within(min(bisect_right(self._decoded, offset), len(self._lines)) - 1, offset)

    def end(self, offset: int) -> int:
        """Where a change that ends at `offset` (over 0) ends: between two lines on the first one."""
        return self._within(max(bisect_left(self._decoded, offset), 1) - 1, offset)

    def _within(self, index: int, offset: int) -> int:
        line = self._lines[index]
        left = offset - self._decoded[index]
        position = 0
        while left > 0:
            escape = line.find(b"=", position)
            if escape < 0 or escape - position >= left:
                return self._encoded[index] + position + left
            left -= escape - position + 1
            position = escape + 3
        return self._encoded[index] + position
