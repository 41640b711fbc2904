"""`{{opening_double_curly()}}`, `{{closing_double_curly()}}` and `{{open_pixel()}}` in the text of a part."""

from __future__ import annotations

import re

from mailwake.rewrite.edits import Edit, Purpose

_DOUBLE_CURLY = re.compile(rb"\{\{[ \t]*+(opening|closing)_double_curly\([ \t]*+\)[ \t]*+\}\}")
_OPEN_PIXEL = re.compile(rb"\{\{[ \t]*+open_pixel\([ \t]*+\)[ \t]*+\}\}")
_MEANING = {b"opening": b"{{", b"closing": b"}}"}


def double_curly_edits(text: bytes) -> list[Edit]:
    """The edits that put the curly braces in the place of their macros (1-injection §4)."""
    if b"_double_curly(" not in text:
        return []
    return [
        Edit(match.start(), match.end(), Purpose.CLEANUP, _MEANING[match[1]]) for match in _DOUBLE_CURLY.finditer(text)
    ]


def replaced(value: bytes) -> bytes:
    """`value` with its macros replaced: what the link means that a reader would have clicked."""
    if b"_double_curly(" not in value:
        return value
    return _DOUBLE_CURLY.sub(lambda match: _MEANING[match[1]], value)


def open_pixel_spans(text: bytes) -> list[tuple[int, int]]:
    """Where `{{open_pixel()}}` stands."""
    return [match.span() for match in _OPEN_PIXEL.finditer(text)] if b"open_pixel(" in text else []
