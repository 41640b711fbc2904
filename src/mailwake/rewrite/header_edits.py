"""Changes to the header of one part: what its Content-Transfer-Encoding says, and fields that it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.rewrite.edits import Edit, Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailwake.message.headers import Field
    from mailwake.message.mime_tree import Part


def new_values(content: bytes, header_fields: Iterable[Field], value: bytes) -> list[Edit]:
    """The edits that make these fields say `value`; their names and the white space before the value stay."""
    return [_new_value(content, field.value_start, field.value_end, value) for field in header_fields]


def added_fields(content: bytes, part: Part, lines: Sequence[bytes], line_break: bytes) -> Edit:
    """The edit that puts these fields at the end of the part's header."""
    text = b"".join(line + line_break for line in lines)
    if part.header_end > part.start and content[part.header_end - 1] != 0x0A:
        text = line_break + text
    return Edit(part.header_end, part.header_end, Purpose.CLEANUP, text)


def _new_value(content: bytes, start: int, end: int, value: bytes) -> Edit:
    old = content[start:end]
    if b"\n" in old:  # not every reader finds a value that stands on the next line
        return Edit(start, end, Purpose.CLEANUP, b" " + value)
    return Edit(start + len(old) - len(old.lstrip()), end, Purpose.CLEANUP, value)
