"""Tags and attributes of an HTML document as offsets into its bytes, and what a scan of it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mailwake.html import grammar

if TYPE_CHECKING:
    from re import Match

_QUOTES = (b'"', b"'", b"")


class LinkTag(NamedTuple):
    """A start tag `a` or `area` (or a VML shape in a conditional comment), `start:end` from `<` to after `>`.

    `href_start:href_end` is the value of its first `href` as it stands in the document, without quotes; `href_start` is
    -1 when there is none. `quote` is the quote around it, `b""` for a value without quotes.
    """

    start: int
    end: int
    name_end: int
    href_start: int
    href_end: int
    quote: bytes
    conditional: bool = False
    """It stands in a comment that only Microsoft's programs read (`<!--[if mso]>`)."""


class Attribute(NamedTuple):
    """One attribute: `start:end` is all of it, `value_start:value_end` its value without quotes; lower-case name."""

    name: bytes
    start: int
    end: int
    value_start: int
    value_end: int
    quote: bytes


class Tag(NamedTuple):
    """Any tag, `start:end` from `<` to after `>`; lower-case name."""

    name: bytes
    start: int
    name_end: int
    end: int
    self_closing: bool


@dataclass(slots=True)
class HtmlScan:
    """What one pass over a document found; offsets are -1 where there is nothing."""

    links: list[LinkTag] = field(default_factory=list)
    conditional_comments: list[tuple[int, int]] = field(default_factory=list)
    body_start_end: int = -1
    """After the first `<body …>`."""
    body_end: int = -1
    """Before the last `</body>`."""
    html_end: int = -1
    """Before the last `</html>`."""
    unterminated: int = -1
    """Where a tag, comment or raw text starts that never ends, or the svg around it: nothing new may stand behind."""
    frameset: bool = False
    """The document is a frameset, which shows neither links nor images."""


def link_tag(match: Match[bytes], *, conditional: bool = False) -> LinkTag:
    """The tag that `grammar.NEXT` or `VML_OR_LINK` matched."""
    name_start, name_end = match.span(1)
    for group in (3, 4, 5):
        start, end = match.span(group)
        if start >= 0:
            return LinkTag(name_start - 1, match.end(), name_end, start, end, _QUOTES[group - 3], conditional)
    # `<a href>` and `<a href=>` have an empty value; nothing is to be replaced there.
    return LinkTag(name_start - 1, match.end(), name_end, match.end(2), match.end(2), b"", conditional)


def attributes(document: bytes, start: int, end: int) -> list[Attribute]:
    """The attributes of a tag in their order, duplicates too; `start` is after its name, `end` after its `>`."""
    found = []
    while (match := grammar.ATTRIBUTE.match(document, start, end)) is not None:
        start = match.end()
        value_start = value_end = match.end(1)
        quote = b""
        for group in (2, 3, 4):
            if match.start(group) >= 0:
                value_start, value_end = match.span(group)
                quote = _QUOTES[group - 2]
        found.append(Attribute(match[1].lower(), match.start(1), start, value_start, value_end, quote))
    return found


def link_tag_from_attributes(document: bytes, start: int, name_end: int, end: int) -> LinkTag:
    """The same as `link_tag` for a tag of which only the span and the end of its name are known."""
    for attribute in attributes(document, name_end, end):
        if attribute.name == b"href":
            return LinkTag(start, end, name_end, attribute.value_start, attribute.value_end, attribute.quote)
    return LinkTag(start, end, name_end, -1, -1, b"")


def is_self_closing(document: bytes, name_end: int, end: int) -> bool:
    """Whether a tag ends with a slash of its own; in `<a href=x/>` it belongs to the value (HTML §13.2.5.37)."""
    if document[end - 2] != 0x2F:
        return False
    found = attributes(document, name_end, end)
    return not found or found[-1].end < end - 1
