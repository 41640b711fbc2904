"""The images that report an open, and the link that only machines follow: where they stand, and their markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.html import grammar
from mailwake.rewrite.edits import (
    AMP_INITIAL_OPEN_SLOT,
    AMP_OPEN_SLOT,
    HONEYPOT_SLOT,
    INITIAL_OPEN_SLOT,
    OPEN_SLOT,
    Edit,
    Purpose,
)
from mailwake.rewrite.pre_header import end_of_pre_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.html.tags import HtmlScan

_MARKUP = (b'<img src="', b'" alt="" width="1" height="1" border="0">')
# AMP for Email has no `img`, and no `amp-pixel` either; `amp-img` needs its size and an https source.
_AMP_MARKUP = (b'<amp-img src="', b'" alt="" width="1" height="1"></amp-img>')
# A link without a word or a place, for people, the keyboard and screen readers; Word, which is Outlook, has its own way
# to hide. AMP for Email gets none: its validator would refuse the attribute, and with it the part.
_HONEYPOT = (b'<a href="', b'" style="display:none;mso-hide:all" tabindex="-1" aria-hidden="true"></a>')


def body_edits(document: bytes, scan: HtmlScan, *, amp: bool) -> list[Edit]:
    """The edits that put the two images at the start and the end of a scanned document; none into a frameset.

    The hidden link stands at the end, before the image.
    """
    if scan.frameset:
        return []
    at_start, at_end = start_position(document, scan), end_position(document, scan)
    before, after = _AMP_MARKUP if amp else _MARKUP
    if amp:
        return [
            Edit(at_start, at_start, Purpose.AMP_INITIAL_OPEN, before, AMP_INITIAL_OPEN_SLOT, after),
            Edit(at_end, at_end, Purpose.AMP_OPEN, before, AMP_OPEN_SLOT, after),
        ]
    return [
        Edit(at_start, at_start, Purpose.INITIAL_OPEN, before, INITIAL_OPEN_SLOT, after),
        _honeypot_edit(at_end),
        Edit(at_end, at_end, Purpose.OPEN, before, OPEN_SLOT, after),
    ]


def placed_edits(spans: Sequence[tuple[int, int]], *, amp: bool) -> list[Edit]:
    """The edits that put the image where the sender wrote `{{open_pixel()}}`: the first one takes it, all of them go.

    There is no image at the start: the part may be a fragment of a document that only the sender knows.
    """
    edits = [Edit(start, end, Purpose.CLEANUP) for start, end in spans]
    if spans:
        before, after = _AMP_MARKUP if amp else _MARKUP
        purpose, slot = (Purpose.AMP_OPEN, AMP_OPEN_SLOT) if amp else (Purpose.OPEN, OPEN_SLOT)
        # It comes first: of two edits for one span the first holds.
        edits.insert(0, Edit(*spans[0], purpose, before, slot, after))
        if not amp:
            edits.append(_honeypot_edit(spans[0][0]))
    return edits


def _honeypot_edit(position: int) -> Edit:
    before, after = _HONEYPOT
    return Edit(position, position, Purpose.HONEYPOT, before, HONEYPOT_SLOT, after)


def end_position(document: bytes, scan: HtmlScan) -> int:
    """Before the last `</body>`, else before the last `</html>`, else after the last character that is not white space.

    In a document that ends inside a tag, comment or raw text it stands before that, where it can still be seen.
    """
    if scan.body_end >= 0:
        return scan.body_end
    if scan.html_end >= 0:
        return scan.html_end
    return scan.unterminated if scan.unterminated >= 0 else len(document.rstrip(b"\t\n\f\r \0"))


def start_position(document: bytes, scan: HtmlScan) -> int:
    """After `<body …>`, or after all that belongs to the head where there is no such tag; behind hidden pre-headers.

    A pre-header is what an inbox shows beside the subject. An image inside it would not be loaded, one before it may
    change what the inbox shows.
    """
    position = scan.body_start_end
    if position < 0:
        head = grammar.HEAD.match(document)
        position = head.end() if head else 0
    position = end_of_pre_header(document, position)
    return min(position, scan.unterminated) if scan.unterminated >= 0 else position
