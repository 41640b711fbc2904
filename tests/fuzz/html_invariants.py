"""What holds for any HTML document: its links are those of an HTML5 parser, before and after they are replaced.

The oracle is lexbor. `EXCLUDED` says which documents are not compared with it, and why.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

from mailwake.html.scanner import scan
from mailwake.rewrite import html_links, open_pixel
from mailwake.rewrite.edits import Purpose, chosen
from mailwake.rewrite.found_links import LinkCollector
from mailwake.rewrite.settings import RewriteSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.html.tags import HtmlScan

EXCLUDED = re.compile(
    # The content of a template is a document of its own, into which CSS selectors do not look; its links count here.
    rb"<template"
    # A link means what it says after its macros are replaced, of which a parser knows nothing.
    rb"|_double_curly\(",
    re.IGNORECASE,
)
# What stands in a table outside its cells is moved before the table, so the order of the tree is not that of the tags.
_MOVED = re.compile(rb"<table", re.IGNORECASE)
_OUR_ATTRIBUTES = ("data-msys-linkname", "data-msys-clicktrack", "data-msys-unsubscribe", "data-msys-sublink")
_IMAGES = (Purpose.OPEN, Purpose.INITIAL_OPEN)
_SETTINGS = RewriteSettings(track_mso=False)


def check_html(document: bytes, codec: str) -> None:
    """Check the scan of a document in a charset whose ASCII bytes mean ASCII."""
    found = scan(document)
    check_scan(document, found)
    if EXCLUDED.search(document):
        return
    text = document.decode(codec, "replace")
    ours = hrefs(document, found, codec)
    theirs = by_lexbor(text)
    assert set(ours) == set(theirs), (ours, theirs)
    ours, numbered = with_numbers(document, found)
    theirs = without_copies(by_lexbor(numbered.decode(codec, "replace")))
    if _MOVED.search(document):
        theirs.sort(key=ours.index)
    assert ours == theirs, (ours, theirs, numbered)
    same = rewritten(document, found, codec).decode(codec, "replace")
    assert tree(same) == tree(text), same
    check_images(document, found, codec)


def check_images(document: bytes, found: HtmlScan, codec: str) -> None:
    """A parser sees each of the two images once."""
    edits = chosen(open_pixel.body_edits(document, found, amp=False), Purpose.OPEN | Purpose.INITIAL_OPEN)
    for edit in reversed(edits):
        image = edit.before + b"image:%d" % edit.purpose + edit.after
        document = document[: edit.start] + image + document[edit.end :]
    nodes = LexborHTMLParser(document.decode(codec, "replace")).css('img[src^="image:"]')
    assert sorted(node.attributes["src"] or "" for node in nodes) == sorted(f"image:{edit.purpose}" for edit in edits)
    assert found.frameset or len(edits) == len(_IMAGES), document


def check_scan(document: bytes, found: HtmlScan) -> None:
    """Tags are spans in their order that do not overlap; nothing lies behind a construct that never ends."""
    position = 0
    for tag in found.links:
        assert position <= tag.start < tag.name_end < tag.end <= len(document)
        assert document[tag.start : tag.name_end].lower() in (b"<a", b"<area")
        assert document[tag.end - 1 : tag.end] == b">"
        if tag.href_start >= 0:
            assert tag.name_end < tag.href_start <= tag.href_end < tag.end
            before, behind = document[: tag.href_start], document[tag.href_end :]
            assert before.endswith(tag.quote)
            assert behind.startswith(tag.quote)
            assert not tag.quote or tag.quote not in document[tag.href_start : tag.href_end]
        position = tag.end
    assert -1 <= found.unterminated <= len(document)
    for start, end in found.conditional_comments:
        assert document[start - 4 : start] == b"<!--"
        assert document[end - 1 : end] == b">"
    for place in (found.body_start_end, found.body_end, found.html_end):
        assert -1 <= place <= len(document)


def hrefs(document: bytes, found: HtmlScan, codec: str) -> list[str]:
    """What we read as links, with line breaks as a parser gives them."""
    values = [html_links.href(document, tag, codec) for tag in found.links if tag.href_start >= 0]
    return [normalised(value) for value in values]


def normalised(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n")


def by_lexbor(text: str) -> list[str]:
    nodes = LexborHTMLParser(text.removeprefix("\ufeff")).css("a[href], area[href]")
    # lexbor's selector takes xlink:href for href.
    return [node.attributes["href"] or "" for node in nodes if "href" in node.attributes]


def without_copies(numbered: Sequence[str]) -> list[str]:
    """A parser's list without the copies it makes of an `a` that is closed in the wrong place (HTML §13.2.6.4.7).

    Each number stands for one tag, so what has come before is a copy; empty values cannot be numbered.
    """
    return [href for href in dict.fromkeys(numbered) if href]


def with_numbers(document: bytes, found: HtmlScan) -> tuple[list[str], bytes]:
    """The document with another value in each link, and these values in the order of their tags."""
    out, position, numbers = b"", 0, []
    for number, tag in enumerate(found.links):
        if tag.href_start >= 0 and (tag.quote or tag.href_end > tag.href_start):
            numbers.append(f"n:{number}")
            quote = b"" if tag.quote else b'"'
            out += document[position : tag.href_start] + quote + numbers[-1].encode() + quote
            position = tag.href_end
    return numbers, out + document[position:]


def rewritten(document: bytes, found: HtmlScan, codec: str) -> bytes:
    """The document after all its edits, in which each tracked link is written anew and says what it said before."""
    collector = LinkCollector()
    wanted = Purpose.CLICK | Purpose.CLEANUP
    edits = chosen(html_links.find(document, found, codec, "html", collector, _SETTINGS), wanted)
    old = hrefs(document, found, codec)
    values = [escaped(old[link.index], codec) for link in collector.tracked]
    out, position = b"", 0
    for edit in edits:
        value = b"" if edit.slot is None else values[edit.slot]
        out += document[position : edit.start] + edit.before + value + edit.after
        position = edit.end
    return out + document[position:]


def escaped(value: str, codec: str) -> bytes:
    """A value as it can stand between quotes of either kind."""
    text = value.replace("&", "&amp;").replace('"', "&quot;").replace("'", "&#39;").replace("\r", "&#13;")
    return text.replace("\ufffd", "&#xfffd;").encode(codec, "xmlcharrefreplace")


def tree(text: str) -> str | None:
    """The document as lexbor reads it, without the attributes for the tracking system."""
    parser = LexborHTMLParser(text.removeprefix("\ufeff"))
    for node in parser.css("a, area"):
        for name in _OUR_ATTRIBUTES:
            if name in node.attributes:
                del node.attrs[name]
    return parser.html
