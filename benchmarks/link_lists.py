"""The links of a document as lists of `href` values in their order: ours, and those of two HTML5 parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import html5lib
from selectolax.lexbor import LexborHTMLParser

from mailwake.html.scanner import scan
from mailwake.rewrite import html_links

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMESPACES = (
    "http://www.w3.org/1999/xhtml",
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1998/Math/MathML",
)
_LINK_NAMES = frozenset(f"{{{namespace}}}{name}" for namespace in _NAMESPACES for name in ("a", "area"))


def found(document: bytes, codec: str = "latin-1") -> list[str]:
    """What the scanner finds; line ends as a parser reads them."""
    hrefs = (html_links.href(document, tag, codec) for tag in scan(document).links if tag.href_start >= 0)
    return [href.replace("\r\n", "\n").replace("\r", "\n") for href in hrefs]


def by_html5lib(text: str) -> list[str]:
    """What html5lib finds: the oracle."""
    elements = html5lib.parse(text, namespaceHTMLElements=True).iter()
    return [element.attrib["href"] for element in elements if element.tag in _LINK_NAMES and "href" in element.attrib]


def by_lexbor(text: str) -> list[str]:
    """What lexbor finds."""
    return [node.attributes["href"] or "" for node in LexborHTMLParser(text).css("a[href], area[href]")]


def without_copies(hrefs: Sequence[str], others: Sequence[str]) -> list[str]:
    """A parser's list without the copies it makes of an `a` that is closed in the wrong place (HTML §13.2.6.4.7).

    A copy has the attributes of the original and follows it, so it is an extra item equal to an earlier one; `others`
    is the list it is compared with, in which it is extra.
    """
    result: list[str] = []
    for href in hrefs:
        if href in result and (len(result) >= len(others) or href != others[len(result)]):
            continue
        result.append(href)
    return result
