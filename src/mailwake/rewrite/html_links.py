"""The links of an HTML or AMP part: which are tracked, and what changes in the document for it."""

from __future__ import annotations

import re
from heapq import merge
from typing import TYPE_CHECKING

from mailwake.html import character_references
from mailwake.html import grammar as html_grammar
from mailwake.html.tags import link_tag
from mailwake.rewrite import macros
from mailwake.rewrite.edits import Edit, Purpose
from mailwake.rewrite.found_links import NO_OPTIONS, LinkCollector, Options, click_edit
from mailwake.rewrite.link_target import host_of, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mailwake.html.tags import HtmlScan, LinkTag
    from mailwake.rewrite.settings import RewriteSettings

# The place of each in `Options`.
_OPTION_FIELDS = {
    b"data-msys-linkname": 0,
    b"data-msys-clicktrack": 1,
    b"data-msys-unsubscribe": 2,
    b"data-msys-sublink": 3,
}
# The text a reader sees starts with a URL or is a host name, perhaps in bold or in a font of its own.
_URL_AS_TEXT = re.compile(
    rb"(?:[\t\n\f\r ]++|<(?!/?+[aA][\t\n\f\r />])[a-zA-Z][^<>]{0,1000}>){0,8}+"
    rb"(?:(?i:https?://|www\.)[^\s<]|((?:[a-zA-Z0-9-]{1,63}+\.){1,8}+[a-zA-Z][a-zA-Z0-9-]{0,62}+)(?=[\s</?#:]))"
)
# Comments for Word-based Outlook and for VML; `[if !mso]` hides from Outlook what others see anyway.
_READ_BY_OUTLOOK = re.compile(rb"\[[iI][fF](?=[^\]]{0,200}\b(?i:mso|vml)\b)(?!\s++!\s*+\(?+\s*+mso\s*+\)?+\s*+\])")
_EQUALS_NEXT = re.compile(rb"[\t\n\f\r ]*+=")
_WHITE_SPACE_OR_END = b"\t\n\f\r >"


def find(
    document: bytes, scan: HtmlScan, codec: str, part: str, collector: LinkCollector, settings: RewriteSettings
) -> list[Edit]:
    """Give the links of a scanned document to `collector`, and the edits that track them and clean up their attributes.

    `codec` decodes values; `part` is "html" or "amp". AMP links with `{{…}}` are filled in by the reader's program from
    data that only it has, so they stay as they are.
    """
    edits: list[Edit] = []
    tags: Iterable[LinkTag] = scan.links
    if settings.track_mso and scan.conditional_comments:
        tags = merge(scan.links, conditional_links(document, scan.conditional_comments))
    for tag in tags:
        marks = document[tag.start : tag.end].lower().count(b"data-msys-")
        options = _options(document, tag, codec, edits, marks) if marks else NO_OPTIONS
        if tag.href_start < 0:
            continue
        target, reason = resolve(href(document, tag, codec))
        text_is_url = not reason and _is_url(_URL_AS_TEXT.match(document, tag.end), target)
        if not reason:
            if part == "amp" and "{{" in target:
                reason = "template"
            elif text_is_url and settings.tracked_link_text == "skip":
                reason = "link text is a URL"
        slot = collector.add(part, document, tag.start, target, reason, options, text_is_url=text_is_url)
        if slot is not None:
            edits.append(click_edit(tag.href_start, tag.href_end, slot, b"" if tag.quote else b'"'))
    return edits


def _is_url(text: re.Match[bytes] | None, target: str) -> bool:
    """Whether a link's text is a URL, or names the host where the link leads (or a domain that the host lies in)."""
    if text is None:
        return False
    if text[1] is None:
        return True
    return f".{host_of(target)}".endswith("." + text[1].decode("ascii").lower())


def href(document: bytes, tag: LinkTag, codec: str) -> str:
    """The value of a link's `href` as a browser reads it."""
    return _text(document[tag.href_start : tag.href_end], codec)


def conditional_links(document: bytes, comments: Sequence[tuple[int, int]]) -> Iterator[LinkTag]:
    """The links and VML shapes inside comments that only Microsoft's programs read (`<!--[if mso]> … <![endif]-->`)."""
    for start, end in comments:
        if not _READ_BY_OUTLOOK.match(document, start, end):
            continue
        position = start
        while (match := html_grammar.VML_OR_LINK.match(document, position, end)) is not None:
            position = match.end()
            yield link_tag(match, conditional=True)


def _options(document: bytes, tag: LinkTag, codec: str, edits: list[Edit], at_most: int) -> Options:
    """The `data-msys-…` attributes of a tag, with the edits that remove them; the first of two of one name counts."""
    values: list[str | None] = [None, None, None, None]
    position = tag.name_end
    for _ in range(at_most):
        match = html_grammar.OPTION.match(document, position, tag.end)
        if match is None:
            break
        _, name, double_quoted, single_quoted, bare = match.groups()
        position = match.end()
        field = _OPTION_FIELDS[name.lower()]
        if values[field] is None:
            values[field] = _text(double_quoted or single_quoted or bare or b"", codec)
        if _EQUALS_NEXT.match(document, position, tag.end):
            continue  # an attribute whose name starts with "=" would become the value of the one before
        # With white space or the tag's end behind it, the white space before the attribute goes too. Else it stays, to
        # keep its neighbours apart: `<a href=x data-msys-unsubscribe="1"/>` must not become `<a href=x/>`.
        start = match.end(1) if document[position] in _WHITE_SPACE_OR_END else match.start(2)
        edits.append(Edit(start, position, Purpose.CLEANUP))
    return Options(*values)


def _text(value: bytes, codec: str) -> str:
    return character_references.decode(macros.replaced(value).decode(codec, "replace").replace("\0", "\ufffd"))
