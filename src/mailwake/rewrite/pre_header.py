"""Where the pre-header ends: the hidden text at the start of a body, which an inbox shows beside the subject."""

from __future__ import annotations

import re

from mailwake.html import grammar
from mailwake.html.raw_text import end_of_raw_text

_BLANK = re.compile(rb"(?:[\t\n\f\r ]++|<!--(?:-?>|(?:[^-]++|-(?!-!?>))*+--!?>)|<(?:!(?!--)|\?)[^>]*+>)*+")
_HIDDEN = re.compile(
    rb"display\s*:\s*none|visibility\s*:\s*hidden|max-height\s*:\s*0(?![.\d])|max-height\s*:\s*0px"
    rb"|opacity\s*:\s*0(?![.\d])|mso-hide\s*:\s*all"
)
_HIDING_WORDS = (b"none", b"hidden", b"max-height", b"opacity", b"mso-hide")
_NAMED = re.compile(rb"\b(?:class|id)\s*+=\s*+[\"']?+[^\"'>]{0,200}?pre-?(?:header|view)")
_VOID = frozenset(b"area base br col embed hr img input link meta param source track wbr".split())
_RAW_TEXT = frozenset(name.encode() for name in grammar.RAW_TEXT_ELEMENTS)
# Elements whose content follows rules of its own: nothing is looked for behind their start.
_OPAQUE = frozenset(b"svg math template select object frameset".split())
# Between the cells of a table an image would be moved in front of it (WHATWG HTML §13.2.6.1, foster parenting).
_TABLE_PARTS = frozenset(b"table thead tbody tfoot tr colgroup".split())
_MOST_TAGS = 100
"""Tags looked at before the first visible text; a pre-header stands near the start or is none."""
_LONGEST = 16_384
"""Bytes of one pre-header; more is a hidden version of the whole message."""
_LONGEST_ATTRIBUTES = 2_048
"""Bytes of a tag that are looked at."""


def end_of_pre_header(document: bytes, start: int) -> int:
    """Behind the last hidden element before the first visible text; `start`, the start of the body, when there is none.

    Looked at are elements that their own `style` hides or whose class or id says what they are, also inside wrappers
    such as `<center>` and table cells. What a style sheet hides by another name is not recognised.
    """
    position = best = start
    opened: list[bytes] = []
    behind = False  # a pre-header has ended, where no image can stand
    for _ in range(_MOST_TAGS):
        match = grammar.TAG_IN_HTML.match(document, position)
        if match is None or not _BLANK.fullmatch(document, position, match.start(1) - 1):
            break
        name, position = match[2].lower(), match.end()
        if name in _OPAQUE or (match[1] and name in (b"body", b"html")):
            break
        if match[1]:
            _close(opened, name)
        elif name in _RAW_TEXT:
            position = end_of_raw_text(document, name, position)
            if position < 0:
                break
        elif name not in _VOID:
            end = _end_if_pre_header(document, name, match.end(2), position)
            if end < 0:
                break
            if end:
                position, behind = end, True
            else:
                opened.append(name)
        if behind and not (opened and opened[-1] in _TABLE_PARTS):
            best, behind = position, False
    return best


def _end_if_pre_header(document: bytes, name: bytes, name_end: int, tag_end: int) -> int:
    """Where the element of this start tag ends; 0 when it is no pre-header, -1 when nothing behind it is seen."""
    attributes = document[name_end : min(tag_end, name_end + _LONGEST_ATTRIBUTES)].lower()
    # A word that must be there is found much sooner than a pattern is tried everywhere.
    hidden = any(word in attributes for word in _HIDING_WORDS) and _HIDDEN.search(attributes) is not None
    if not hidden and not (b"pre" in attributes and _NAMED.search(attributes)):
        return 0
    end = _end_of_element(document, name, tag_end)
    if end < 0:
        return -1 if hidden else 0
    return end


def _end_of_element(document: bytes, name: bytes, position: int) -> int:
    """Behind the end tag of an element whose content starts at `position`; -1 when it is too far away or unclear."""
    depth, limit = 1, position + _LONGEST
    while depth:
        match = grammar.TAG_IN_HTML.match(document, position, limit)
        if match is None:
            return -1
        tag, position = match[2].lower(), match.end()
        if tag == name:
            depth += -1 if match[1] else 1
        elif tag in _OPAQUE:
            return -1
        elif tag in _RAW_TEXT and not match[1]:
            position = end_of_raw_text(document, tag, position)
            if position < 0:
                return -1
    return position


def _close(opened: list[bytes], name: bytes) -> None:
    """Leave the innermost open element of that name, and all inside it."""
    if name in opened:
        while opened.pop() != name:
            pass
