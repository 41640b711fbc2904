"""Header fields as spans over the original bytes: nothing is copied, decoded or re-serialised (RFC 5322 §2.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# A name is any printable ASCII character but the colon (RFC 5322 §2.2); white space before the colon is obsolete syntax
# (§4.5) that senders still produce. A field goes on over every following line that starts with a space or a tab.
_FIELD = re.compile(rb"^([\x21-\x39\x3b-\x7e]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?", re.MULTILINE)
_LINE_BREAK_WITH_WHITE_SPACE = re.compile(rb"(?:\r\n?|\n)[ \t]*")


class Field(NamedTuple):
    """One header field of the message: offsets into the content that was scanned.

    `start:end` is the whole field with its final line break; `value_start:value_end` is what stands after the colon,
    folds and white space included, without the final line break.
    """

    name: bytes
    start: int
    end: int
    value_start: int
    value_end: int

    def value(self, content: bytes) -> bytes:
        """The field's value on one line, without white space around it."""
        return unfold(content[self.value_start : self.value_end]).strip(b" \t\r\n")


def fields(content: bytes, start: int, end: int) -> list[Field]:
    """The header fields in `content[start:end]`, in their order; lines that are no field are passed over."""
    found = []
    for match in _FIELD.finditer(content, start, end):
        value_start, value_end = match.span(2)
        if value_end > value_start and content[value_end - 1] == 0x0D:
            value_end -= 1
        found.append(Field(match[1], *match.span(), value_start, value_end))
    return found


def unfold(value: bytes) -> bytes:
    """Join a folded value: each line break with the white space after it becomes exactly one space (1-injection §2)."""
    if b"\n" not in value and b"\r" not in value:
        return value
    return _LINE_BREAK_WITH_WHITE_SPACE.sub(b" ", value)


def find(header_fields: Iterable[Field], name: bytes) -> list[Field]:
    """All fields of that name, in their order; names are compared without regard to case (RFC 5322 §1.2.2)."""
    wanted = name.lower()
    return [field for field in header_fields if field.name.lower() == wanted]
