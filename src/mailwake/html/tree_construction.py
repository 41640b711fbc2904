"""Which elements are open, tag by tag, for the documents whose tokens depend on it (WHATWG HTML §13.2.6).

A tag inside `<svg>` or `<math>` means something else than outside, `<frameset>` can drop a whole body, and in a
`<template>` a link can be ignored. Where one of these stands, the document is read by this module: as exact as a
parser, without a tree, and some twenty times slower than the scanner.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from mailwake.html import body_mode, foreign_content, grammar, head_modes, table_modes
from mailwake.html.formatting_elements import FormattingElements
from mailwake.html.insertion_mode import OTHER, kind_of_text
from mailwake.html.open_elements import Element, OpenElements, TooMuchWork
from mailwake.html.raw_text import end_of_raw_text
from mailwake.html.tags import HtmlScan, Tag, attributes, is_self_closing, link_tag_from_attributes

if TYPE_CHECKING:
    from re import Match

_MODES = {**head_modes.MODES, **body_mode.MODES, **table_modes.MODES}
_MODE_OF_ELEMENT = {
    b"td": "cell",
    b"th": "cell",
    b"tr": "row",
    **dict.fromkeys((b"tbody", b"tfoot", b"thead"), "table body"),
    b"caption": "caption",
    b"colgroup": "column group",
    b"table": "table",
    b"head": "head",
    b"body": "body",
    b"html": "after head",
}
"""Where HTML goes on when what was open inside an element is closed (§13.2.4.1)."""

_LINE_BREAK = re.compile(rb"\r?\n?")
_STEPS_A_BYTE = 8
_MIN_STEPS = 100_000


def scan_as_parser(document: bytes) -> HtmlScan:
    """The same as `scanner.scan` for a document in which it matters which elements are open."""
    tree = TreeConstruction(document)
    tree.run()
    return tree.found


class TreeConstruction:
    """The state of the tree construction stage: the stack of open elements, the insertion mode, and some flags."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.found = HtmlScan()
        self.position = len(codecs.BOM_UTF8) if document.startswith(codecs.BOM_UTF8) else 0
        self.open = OpenElements(_MIN_STEPS + _STEPS_A_BYTE * len(document))
        self.open.push(Element(b"html"))
        self.formatting = FormattingElements(self.open)
        self.mode = "before head"
        self.template_modes: list[str] = []
        self.form: Element | None = None
        self.frameset_ok = True
        self.quirks = grammar.STANDARDS_MODE.match(document) is None
        self.links_before_body = 0

    def run(self) -> None:
        """Read the document token by token."""
        try:
            self._read()
        except TooMuchWork:
            # Nobody writes such mail but to be a nuisance; but for the links up to here it stays as it is.
            self.found.unterminated = self.position
        # An image would end the svg, so that what follows is read by other rules; in a template it is not seen.
        around = next((element.start for element in self.open.stack if element.start >= 0), -1)
        if around >= 0 and (self.found.unterminated >= 0 or self.template_modes):
            self.found.unterminated = around

    def _read(self) -> None:
        length = len(self.document)
        while self.position < length and not self.found.frameset:
            foreign = bool(self.open.current.namespace)
            match = (grammar.TOKEN_IN_FOREIGN if foreign else grammar.TOKEN_IN_HTML).match(self.document, self.position)
            if match is None:
                self.found.unterminated = self.position
                return
            self.position = match.end()
            self._token(match)
            if self.found.unterminated >= 0:
                return

    def _token(self, match: Match[bytes]) -> None:
        kind = match.lastindex
        if kind == grammar.TOKEN_TEXT:
            self._characters(match[kind])
        elif kind == grammar.TOKEN_CDATA:
            if match[kind]:
                # There are no character references in it: they stand for themselves.
                self._characters(match[kind].replace(b"&", b"x"))
        elif kind == grammar.TOKEN_CONDITIONAL_COMMENT:
            self.found.conditional_comments.append(match.span(kind))
        elif kind == grammar.TOKEN_END_TAG:
            self._end_tag(self._tag(match, kind))
        elif kind == grammar.TOKEN_START_TAG:
            self._start_tag(self._tag(match, kind))

    def _tag(self, match: Match[bytes], group: int) -> Tag:
        name_end, end = match.end(group), self.position
        return Tag(match[group].lower(), match.start(), name_end, end, is_self_closing(self.document, name_end, end))

    def _characters(self, characters: bytes) -> None:
        kind = kind_of_text(characters)
        current = self.open.current
        if not current.namespace or current.integration:
            self.text(kind)
        elif kind == OTHER:
            self.frameset_ok = False

    def _start_tag(self, tag: Tag) -> None:
        if tag.name == b"body" and self.found.body_start_end < 0 and not self.template_modes:
            self.found.body_start_end = tag.end
        if foreign_content.holds(self.open.current, tag.name):
            foreign_content.start(self, tag)
        else:
            self.start(tag)

    def _end_tag(self, tag: Tag) -> None:
        if tag.name in (b"body", b"html") and self._image_may_stand():
            if tag.name == b"body":
                self.found.body_end = tag.start
            else:
                self.found.html_end = tag.start
        if self.open.current.namespace:
            foreign_content.end(self, tag)
        else:
            self.end(tag)

    def _image_may_stand(self) -> bool:
        return not self.template_modes and not foreign_content.holds(self.open.current, b"img")

    def start(self, tag: Tag) -> None:
        """Process a start tag by the rules of the current insertion mode."""
        _MODES[self.mode].start(self, tag)

    def end(self, tag: Tag) -> None:
        """Process an end tag by the rules of the current insertion mode."""
        _MODES[self.mode].end(self, tag)

    def text(self, kind: str) -> None:
        """Process text of this kind by the rules of the current insertion mode."""
        _MODES[self.mode].text(self, kind)

    def reset_mode(self) -> None:
        """Reset the insertion mode appropriately (§13.2.4.1)."""
        for depth, element in enumerate(reversed(self.open.stack), 1):
            mode = self.template_modes[-1] if element.name == b"template" else _MODE_OF_ELEMENT.get(element.name)
            if mode is not None:
                self.open.spend(depth)
                self.mode = mode
                return

    def note_link(self, tag: Tag) -> None:
        """An `a` or `area` that a parser puts into its tree."""
        self.found.links.append(link_tag_from_attributes(self.document, tag.start, tag.name_end, tag.end))

    def attributes_of(self, tag: Tag) -> frozenset[tuple[bytes, bytes]]:
        """What tells two tags of one name apart."""
        if self.document[tag.name_end] == 0x3E:  # >
            return frozenset()
        values: dict[bytes, bytes] = {}
        for attribute in attributes(self.document, tag.name_end, tag.end):
            values.setdefault(attribute.name, self.document[attribute.value_start : attribute.value_end])
        return frozenset(values.items())

    def is_hidden_input(self, tag: Tag) -> bool:
        """`<input type=hidden>` shows nothing."""
        return dict(self.attributes_of(tag)).get(b"type", b"").lower() == b"hidden"

    def become_frameset(self) -> None:
        """All of the body goes, and nothing that follows shows a link or an image."""
        self.found.frameset = True
        if self.open.has(b"body"):
            del self.found.links[self.links_before_body :]

    def skip_line_break(self, position: int) -> None:
        """The line break behind `<pre>` is no text."""
        match = _LINE_BREAK.match(self.document, position)
        self.position = match.end() if match else position

    def skip_raw_text(self, tag: Tag) -> None:
        """Go on behind the end tag of `<style>`, `<title>` and their like."""
        end = end_of_raw_text(self.document, tag.name, tag.end)
        match = grammar.TOKEN_IN_HTML.match(self.document, end) if end >= 0 else None
        if match is None:
            self.found.unterminated = tag.start
        else:
            self.position = match.end()
