"""One pass over an HTML document: its links, and the places where a pixel can stand, as offsets into its bytes.

Finds what an HTML5 parser finds as `a[href]` and `area[href]`, without building a tree and without changing a byte.
"""

from __future__ import annotations

from mailwake.html import grammar
from mailwake.html.raw_text import end_of_raw_text
from mailwake.html.tags import HtmlScan, link_tag
from mailwake.html.tree_construction import scan_as_parser


def scan(document: bytes) -> HtmlScan:
    """Scan `document`; never raises, linear in its length."""
    found = HtmlScan()
    position = raw_text_start = raw_text_end = 0
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
            raw_text_start, raw_text_end = match.start(grammar.RAW_TEXT) - 1, position
        elif kind == grammar.CONTEXT:
            # What follows, and perhaps what came before, depends on which elements are open.
            return scan_as_parser(document)
        elif kind == grammar.BODY_START:
            if found.body_start_end < 0:
                found.body_start_end = position
        elif kind == grammar.BODY_END:
            found.body_end = match.start(grammar.BODY_END)
        else:
            found.html_end = match.start(grammar.HTML_END)
    skipped = grammar.UNINTERESTING.match(document, position)
    found.unterminated = skipped.end() if skipped else position
    if found.unterminated == raw_text_end:  # its end tag never ends, so it does not end either
        found.unterminated = raw_text_start
    return found
