"""One pass over an HTML document: its links, and the places where a pixel can stand, as offsets into its bytes.

Finds what an HTML5 parser finds as `a[href]` and `area[href]`, without building a tree and without changing a byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.rewrite import html_grammar as grammar
from mailwake.rewrite.foreign_content import skip_foreign_content
from mailwake.rewrite.html_tags import HtmlScan, link_tag
from mailwake.rewrite.raw_text import end_of_raw_text

if TYPE_CHECKING:
    from re import Match


def scan(document: bytes) -> HtmlScan:
    """Scan `document`; never raises, linear in its length."""
    found = HtmlScan()
    position = 0
    next_match = grammar.NEXT.match
    while (match := next_match(document, position)) is not None:
        kind = match.lastindex
        position = match.end()
        if kind == grammar.LINK:
            found.links.append(link_tag(match))
        elif kind == grammar.AT_END:
            return found
        elif kind == grammar.CONDITIONAL_COMMENT:
            found.conditional_comments.append(match.span(grammar.CONDITIONAL_COMMENT))
        elif kind == grammar.RAW_TEXT:
            position = end_of_raw_text(document, match[grammar.RAW_TEXT].lower(), position)
            if position < 0:
                found.unterminated = match.start(grammar.RAW_TEXT) - 1
                return found
        elif kind == grammar.FOREIGN:
            position = skip_foreign_content(document, match, found)
            if found.unterminated >= 0:
                return found
        elif not _note_structure(document, match, found):
            return found
    skipped = grammar.UNINTERESTING.match(document, position)
    found.unterminated = skipped.end() if skipped else position
    return found


def _note_structure(document: bytes, match: Match[bytes], found: HtmlScan) -> bool:
    """Note a body or html tag; False when the rest of the document is a frameset."""
    kind = match.lastindex
    if kind == grammar.BODY_START:
        if found.body_start_end < 0:
            found.body_start_end = match.end()
    elif kind == grammar.BODY_END:
        found.body_end = match.start(grammar.BODY_END)
    elif kind == grammar.HTML_END:
        found.html_end = match.start(grammar.HTML_END)
    elif not found.frameset_seen:
        found.frameset_seen = True
        found.frameset = found.body_start_end < 0 and _head_ends_at(document, match.start(grammar.FRAMESET))
        return not found.frameset
    return True


def _head_ends_at(document: bytes, position: int) -> bool:
    match = grammar.HEAD.match(document, 0, position)
    return match is not None and match.end() == position
