"""Inside `<svg>` and `<math>` other tokenizer rules hold, until an HTML element breaks out (WHATWG HTML §13.2.6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.rewrite import html_grammar as grammar
from mailwake.rewrite.html_tags import HtmlScan, attributes, link_tag_from_attributes
from mailwake.rewrite.raw_text import end_of_raw_text

if TYPE_CHECKING:
    from re import Match

_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
    b"nobr ol p pre ruby s small span strong strike sub sup table tt u ul var".split()
)
_BREAKOUT_FONT_ATTRIBUTES = frozenset((b"color", b"face", b"size"))
_VOID = frozenset(b"br img hr input meta link area embed wbr source col base param track".split())
_RAW_TEXT = frozenset(name.encode() for name in grammar.RAW_TEXT_ELEMENTS)
_SVG_INTEGRATION_POINTS = frozenset((b"foreignobject", b"desc", b"title"))
_MATH_TEXT_INTEGRATION_POINTS = frozenset((b"mi", b"mo", b"mn", b"ms", b"mtext"))
_HTML_ENCODINGS = frozenset((b"text/html", b"application/xhtml+xml"))
_MAX_OPEN_ELEMENTS = 512


class _Element(NamedTuple):
    name: bytes
    namespace: bytes
    integration: str = ""
    """"html" when HTML rules hold for its content, "text" when they hold for most of it (MathML's text elements)."""

    @property
    def holds_html(self) -> bool:
        return self.namespace == b"html" or self.integration == "html"


class _Tag(NamedTuple):
    name: bytes
    start: int
    name_end: int
    end: int
    self_closing: bool


def skip_foreign_content(document: bytes, match: Match[bytes], found: HtmlScan) -> int:
    """Note the links inside the svg or math element that `match` opened, and give the offset where HTML goes on.

    Sets `found.unterminated` when the document ends inside a construct that never ends.
    """
    if document[match.end() - 2] == 0x2F:  # <svg/> has no content
        return match.end()
    name = match[grammar.FOREIGN].lower()
    return _ForeignContent(document, found, _Element(name, name)).skip(match.end())


class _ForeignContent:
    def __init__(self, document: bytes, found: HtmlScan, root: _Element) -> None:
        self.document = document
        self.found = found
        self.stack = [root]
        self.open_names = {root.name: 1}

    def skip(self, position: int) -> int:
        while self.stack:
            # CDATA sections exist only where the current element is not one of HTML's.
            pattern = grammar.TAG_IN_HTML if self.stack[-1].namespace == b"html" else grammar.TAG_IN_FOREIGN
            match = pattern.match(self.document, position)
            if match is None:
                # Text, comments, or a construct that never ends: with a `<` in it nothing of it may be changed.
                self.found.unterminated = self.document.find(b"<", position)
                return len(self.document)
            position = match.end()
            self_closing = self.document[position - 2] == 0x2F
            tag = _Tag(match[2].lower(), match.start(1) - 1, match.end(2), position, self_closing)
            if match[1]:
                self._end_tag(tag)
            else:
                position = self._start_tag(tag)
                if position < 0:
                    self.found.unterminated = tag.start
                    return len(self.document)
        return position

    def _end_tag(self, tag: _Tag) -> None:
        if tag.name == b"body":
            self.found.body_end = tag.start
        elif tag.name == b"html":
            self.found.html_end = tag.start
        if tag.name in (b"p", b"br") and not self.stack[-1].holds_html:
            self._break_out()
        elif self.open_names.get(tag.name):
            while self._pop().name != tag.name:
                pass

    def _start_tag(self, tag: _Tag) -> int:
        """Where to go on, -1 when raw text never ends."""
        if tag.name in (b"a", b"area"):
            self.found.links.append(link_tag_from_attributes(self.document, tag.start, tag.name_end, tag.end))
        current = self.stack[-1]
        if current.holds_html or (current.integration == "text" and tag.name not in (b"mglyph", b"malignmark")):
            return self._html_start_tag(tag)
        if tag.name in _BREAKOUT or self._is_breakout_font(tag):
            self._break_out()
            # With nothing left open the tag is read again as HTML; in an integration point it changes nothing here.
            return tag.end if self.stack else tag.start
        if not tag.self_closing:
            self._push(_Element(tag.name, current.namespace, self._integration(tag, current.namespace)))
        return tag.end

    def _html_start_tag(self, tag: _Tag) -> int:
        if tag.name in (b"svg", b"math"):
            if not tag.self_closing:
                self._push(_Element(tag.name, tag.name))
        elif tag.name in _RAW_TEXT:
            return end_of_raw_text(self.document, tag.name, tag.end)
        elif tag.name not in _VOID:
            self._push(_Element(tag.name, b"html"))
        return tag.end

    def _integration(self, tag: _Tag, namespace: bytes) -> str:
        if namespace == b"svg":
            return "html" if tag.name in _SVG_INTEGRATION_POINTS else ""
        if tag.name in _MATH_TEXT_INTEGRATION_POINTS:
            return "text"
        if tag.name == b"annotation-xml":
            for attribute in attributes(self.document, tag.name_end, tag.end):
                if attribute.name == b"encoding":
                    value = self.document[attribute.value_start : attribute.value_end]
                    return "html" if value.lower() in _HTML_ENCODINGS else ""
        return ""

    def _is_breakout_font(self, tag: _Tag) -> bool:
        return tag.name == b"font" and any(
            attribute.name in _BREAKOUT_FONT_ATTRIBUTES
            for attribute in attributes(self.document, tag.name_end, tag.end)
        )

    def _break_out(self) -> None:
        """Close elements up to the next one whose content is HTML (§13.2.6.5, "Any other start tag" of the list)."""
        while self.stack and not (self.stack[-1].holds_html or self.stack[-1].integration):
            self._pop()

    def _push(self, element: _Element) -> None:
        if len(self.stack) < _MAX_OPEN_ELEMENTS:
            self.stack.append(element)
            self.open_names[element.name] = self.open_names.get(element.name, 0) + 1

    def _pop(self) -> _Element:
        element = self.stack.pop()
        self.open_names[element.name] -= 1
        return element
