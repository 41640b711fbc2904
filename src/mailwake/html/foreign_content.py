"""Inside `<svg>` and `<math>` other rules hold, until an HTML element breaks out (WHATWG HTML §13.2.6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.html.open_elements import Element
from mailwake.html.tags import attributes

if TYPE_CHECKING:
    from mailwake.html.tags import Tag
    from mailwake.html.tree_construction import TreeConstruction

_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
    b"nobr ol p pre ruby s small span strong strike sub sup table tt u ul var".split()
)
_BREAKOUT_FONT_ATTRIBUTES = frozenset((b"color", b"face", b"size"))
_SVG_INTEGRATION_POINTS = frozenset((b"foreignobject", b"desc", b"title"))
_MATH_TEXT_INTEGRATION_POINTS = frozenset((b"mi", b"mo", b"mn", b"ms", b"mtext"))
_HTML_ENCODINGS = frozenset((b"text/html", b"application/xhtml+xml"))


def holds(current: Element, name: bytes) -> bool:
    """Whether a start tag of this name, with `current` open, is read by the rules for foreign content (§13.2.6)."""
    if not current.namespace or current.integration == "html":
        return False
    if current.integration == "text":
        return name in (b"mglyph", b"malignmark")
    return not (current.name == b"math annotation-xml" and name == b"svg")


def start(tree: TreeConstruction, tag: Tag) -> None:
    """A start tag for which `holds` is true."""
    if tag.name in _BREAKOUT or _is_breakout_font(tree, tag):
        _break_out(tree)
        tree.start(tag)
        return
    if tag.name in (b"a", b"area"):
        tree.note_link(tag)
    if not tag.self_closing:
        namespace = tree.open.current.namespace
        tree.open.push(Element(tag.name, namespace, _integration(tree, tag, namespace)))


def end(tree: TreeConstruction, tag: Tag) -> None:
    """An end tag while a foreign element is the current one; it may close that one and HTML elements around it."""
    if tag.name in (b"p", b"br"):
        _break_out(tree)
        tree.end(tag)
        return
    for depth, element in enumerate(reversed(tree.open.stack), 1):
        if not element.namespace:
            tree.open.spend(depth)
            tree.end(tag)
            return
        if element.name == element.namespace + b" " + tag.name:
            tree.open.pop_through(element)
            return


def _break_out(tree: TreeConstruction) -> None:
    while tree.open.current.namespace and not tree.open.current.integration:
        tree.open.pop()


def _integration(tree: TreeConstruction, tag: Tag, namespace: bytes) -> str:
    if namespace == b"svg":
        return "html" if tag.name in _SVG_INTEGRATION_POINTS else ""
    if tag.name in _MATH_TEXT_INTEGRATION_POINTS:
        return "text"
    if tag.name == b"annotation-xml":
        for attribute in attributes(tree.document, tag.name_end, tag.end):
            if attribute.name == b"encoding":
                value = tree.document[attribute.value_start : attribute.value_end]
                return "html" if value.lower() in _HTML_ENCODINGS else ""
    return ""


def _is_breakout_font(tree: TreeConstruction, tag: Tag) -> bool:
    return tag.name == b"font" and any(
        attribute.name in _BREAKOUT_FONT_ATTRIBUTES for attribute in attributes(tree.document, tag.name_end, tag.end)
    )
