"""What a tag does before the body and in a template (WHATWG HTML §13.2.6.4.1 – 13.2.6.4.6 and 13.2.6.4.22)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.html.insertion_mode import SPACE, InsertionMode
from mailwake.html.open_elements import IMPLIED_END_THOROUGHLY, Element

if TYPE_CHECKING:
    from mailwake.html.tags import Tag
    from mailwake.html.tree_construction import TreeConstruction

_EMPTY = frozenset((b"base", b"basefont", b"bgsound", b"link", b"meta"))
_RAW_TEXT = frozenset((b"title", b"noframes", b"style", b"script"))
_IN_HEAD = _EMPTY | _RAW_TEXT | {b"template"}
_IN_NOSCRIPT = frozenset((b"basefont", b"bgsound", b"link", b"meta", b"noframes", b"style"))
_GO_ON = frozenset((b"body", b"html", b"br"))
_MODE_IN_TEMPLATE = {
    **dict.fromkeys((b"caption", b"colgroup", b"tbody", b"tfoot", b"thead"), "table"),
    b"col": "column group",
    b"tr": "table body",
    b"td": "row",
    b"th": "row",
}


def head_start(tree: TreeConstruction, tag: Tag) -> None:
    """A start tag of an element that belongs to the head, wherever it stands."""
    if tag.name in _RAW_TEXT:
        tree.skip_raw_text(tag)
    elif tag.name == b"template":
        tree.open.push(Element(tag.name, start=tag.start))
        tree.formatting.mark()
        tree.frameset_ok = False
        tree.mode = "template"
        tree.template_modes.append("template")


def end_template(tree: TreeConstruction, tag: Tag) -> None:
    """`</template>`, wherever it stands."""
    if tree.open.has(b"template"):
        tree.open.close_implied(names=IMPLIED_END_THOROUGHLY)
        tree.open.pop_until(b"template")
        tree.formatting.clear_to_marker()
        tree.template_modes.pop()
        tree.reset_mode()


def _before_head_text(tree: TreeConstruction, kind: str) -> None:
    if kind != SPACE:
        _open_head(tree)
        tree.text(kind)


def _before_head_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name != b"html":
        _open_head(tree)
        if tag.name != b"head":
            tree.start(tag)


def _before_head_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name in _GO_ON or tag.name == b"head":
        _open_head(tree)
        tree.end(tag)


def _open_head(tree: TreeConstruction) -> None:
    tree.open.push(Element(b"head"))
    tree.mode = "head"


def _in_head_text(tree: TreeConstruction, kind: str) -> None:
    if kind != SPACE:
        _close_head(tree)
        tree.text(kind)


def _in_head_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name in _IN_HEAD:
        head_start(tree, tag)
    elif tag.name == b"noscript":
        tree.open.push(Element(tag.name))
        tree.mode = "noscript"
    elif tag.name not in (b"html", b"head"):
        _close_head(tree)
        tree.start(tag)


def _in_head_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"template":
        end_template(tree, tag)
    elif tag.name == b"head":
        _close_head(tree)
    elif tag.name in _GO_ON:
        _close_head(tree)
        tree.end(tag)


def _close_head(tree: TreeConstruction) -> None:
    tree.open.pop()
    tree.mode = "after head"


def _in_noscript_text(tree: TreeConstruction, kind: str) -> None:
    if kind != SPACE:
        _close_noscript(tree)
        tree.text(kind)


def _in_noscript_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name in _IN_NOSCRIPT:
        head_start(tree, tag)
    elif tag.name not in (b"html", b"head", b"noscript"):
        _close_noscript(tree)
        tree.start(tag)


def _in_noscript_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"noscript":
        _close_noscript(tree)
    elif tag.name == b"br":
        _close_noscript(tree)
        tree.end(tag)


def _close_noscript(tree: TreeConstruction) -> None:
    tree.open.pop()
    tree.mode = "head"


def _after_head_text(tree: TreeConstruction, kind: str) -> None:
    if kind != SPACE:
        _open_body(tree)
        tree.text(kind)


def _after_head_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name in _IN_HEAD:
        head_start(tree, tag)
    elif tag.name == b"frameset":
        tree.become_frameset()
    elif tag.name not in (b"html", b"head"):
        _open_body(tree)
        if tag.name == b"body":
            tree.frameset_ok = False
        else:
            tree.start(tag)


def _after_head_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"template":
        end_template(tree, tag)
    elif tag.name in _GO_ON:
        _open_body(tree)
        tree.end(tag)


def _open_body(tree: TreeConstruction) -> None:
    tree.open.push(Element(b"body"))
    tree.links_before_body = len(tree.found.links)
    # As browsers do: what a template of the head shows is not what the body shows.
    tree.frameset_ok = True
    tree.mode = "body"


def start_in_template(tree: TreeConstruction, tag: Tag) -> None:
    """The first tag in a template decides by which rules its content is read."""
    if tag.name in _IN_HEAD:
        head_start(tree, tag)
        return
    tree.mode = tree.template_modes[-1] = _MODE_IN_TEMPLATE.get(tag.name, "body")
    tree.start(tag)


def end_in_template(tree: TreeConstruction, tag: Tag) -> None:
    """Nothing but the template itself can be closed."""
    if tag.name == b"template":
        end_template(tree, tag)


MODES = {
    "before head": InsertionMode(_before_head_start, _before_head_end, _before_head_text),
    "head": InsertionMode(_in_head_start, _in_head_end, _in_head_text),
    "noscript": InsertionMode(_in_noscript_start, _in_noscript_end, _in_noscript_text),
    "after head": InsertionMode(_after_head_start, _after_head_end, _after_head_text),
}
"""The modes up to the body; one stands for the three of the standard up to the head, which differ in nothing here."""
