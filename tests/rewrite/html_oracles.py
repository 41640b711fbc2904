"""What HTML5 parsers find as `a[href]` and `area[href]`, and what the scanner finds, in a form that can be compared."""

from __future__ import annotations

import html5lib
from selectolax.lexbor import LexborHTMLParser

from mailwake.rewrite import html_links
from mailwake.rewrite.html_scanner import scan

_NAMESPACES = (
    "http://www.w3.org/1999/xhtml",
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1998/Math/MathML",
)
_LINK_NAMES = frozenset(f"{{{namespace}}}{name}" for namespace in _NAMESPACES for name in ("a", "area"))


def found(document: bytes, codec: str = "latin-1") -> list[str]:
    hrefs = (html_links.href(document, tag, codec) for tag in scan(document).links if tag.href_start >= 0)
    return [href.replace("\r\n", "\n").replace("\r", "\n") for href in hrefs]


def by_html5lib(text: str) -> list[str]:
    elements = html5lib.parse(text, namespaceHTMLElements=True).iter()
    return [element.attrib["href"] for element in elements if element.tag in _LINK_NAMES and "href" in element.attrib]


def by_lexbor(text: str) -> list[str]:
    return [node.attributes["href"] or "" for node in LexborHTMLParser(text).css("a[href], area[href]")]


def without_copies(hrefs: list[str], ours: list[str]) -> list[str]:
    """A parser's list without the copies it makes of an `a` that is closed in the wrong place (HTML §13.2.6.4.7).

    A copy has the attributes of the original and follows it, so it is an extra item equal to an earlier one.
    """
    result: list[str] = []
    for href in hrefs:
        if href in result and (len(result) >= len(ours) or href != ours[len(result)]):
            continue
        result.append(href)
    return result
