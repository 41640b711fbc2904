"""What a tag does inside a table (WHATWG HTML §13.2.6.4.9 – 13.2.6.4.15).

Where an element goes that may not stand in a table makes no difference here: it is opened all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.html import body_mode, head_modes
from mailwake.html.insertion_mode import OTHER, SPACE, InsertionMode
from mailwake.html.open_elements import TABLE_SCOPE, Element

if TYPE_CHECKING:
    from mailwake.html.tags import Tag
    from mailwake.html.tree_construction import TreeConstruction

_SECTIONS = (b"tbody", b"tfoot", b"thead")
_CELLS = (b"td", b"th")
_PARTS = frozenset((b"caption", b"col", b"colgroup", b"tr", *_SECTIONS, *_CELLS))
_TAKES_NO_TEXT = frozenset((b"table", b"template", b"tr", *_SECTIONS))
_NEVER_ENDED = frozenset((b"body", b"html", b"caption", b"col", b"colgroup"))


def _table_text(tree: TreeConstruction, kind: str) -> None:
    if kind == OTHER or tree.open.current.name not in _TAKES_NO_TEXT:
        body_mode.text(tree, kind)


def _table_start(tree: TreeConstruction, tag: Tag) -> None:
    name = tag.name
    if name == b"caption":
        _open(tree, b"caption", "caption", b"table")
        tree.formatting.mark()
    elif name in (b"colgroup", b"col"):
        _open(tree, b"colgroup", "column group", b"table")
    elif name in _SECTIONS:
        _open(tree, name, "table body", b"table")
    elif name in _CELLS or name == b"tr":
        _open(tree, b"tbody", "table body", b"table")
        tree.start(tag)
    elif name == b"table":
        _again_outside(tree, tag)
    elif name in (b"style", b"script", b"template"):
        head_modes.head_start(tree, tag)
    elif name == b"form":
        if tree.form is None and not tree.open.has(b"template"):
            tree.form = Element(name)
    elif name != b"input" or not tree.is_hidden_input(tag):
        body_mode.start(tree, tag)


def _table_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"table":
        _close_table(tree)
    elif tag.name not in _PARTS and tag.name not in _NEVER_ENDED:
        body_mode.end(tree, tag)


def _open(tree: TreeConstruction, name: bytes, mode: str, *context: bytes) -> None:
    tree.open.clear_back_to(*context)
    tree.open.push(Element(name))
    tree.mode = mode


def _in_table_scope(tree: TreeConstruction, *names: bytes) -> bool:
    return tree.open.in_scope(*names, scope=TABLE_SCOPE)


def _close_table(tree: TreeConstruction) -> bool:
    is_open = _in_table_scope(tree, b"table")
    if is_open:
        tree.open.pop_until(b"table")
        tree.reset_mode()
    return is_open


def _again_outside(tree: TreeConstruction, tag: Tag) -> None:
    if _close_table(tree):
        tree.start(tag)


def _caption_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name not in _PARTS:
        body_mode.start(tree, tag)
    elif _close_caption(tree):
        tree.start(tag)


def _caption_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"caption":
        _close_caption(tree)
    elif tag.name == b"table":
        if _close_caption(tree):
            tree.end(tag)
    elif tag.name not in _PARTS and tag.name not in _NEVER_ENDED:
        body_mode.end(tree, tag)


def _close_caption(tree: TreeConstruction) -> bool:
    is_open = _in_table_scope(tree, b"caption")
    if is_open:
        tree.open.close_implied()
        tree.open.pop_until(b"caption")
        tree.formatting.clear_to_marker()
        tree.mode = "table"
    return is_open


def _column_group_text(tree: TreeConstruction, kind: str) -> None:
    if kind != SPACE and _close_column_group(tree):
        tree.text(kind)


def _column_group_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"template":
        head_modes.head_start(tree, tag)
    elif tag.name not in (b"html", b"col") and _close_column_group(tree):
        tree.start(tag)


def _column_group_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"template":
        head_modes.end_template(tree, tag)
    elif tag.name == b"colgroup":
        _close_column_group(tree)
    elif tag.name != b"col" and _close_column_group(tree):
        tree.end(tag)


def _close_column_group(tree: TreeConstruction) -> bool:
    is_open = tree.open.current.name == b"colgroup"
    if is_open:
        tree.open.pop()
        tree.mode = "table"
    return is_open


def _table_body_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"tr" or tag.name in _CELLS:
        _open(tree, b"tr", "row", *_SECTIONS)
        if tag.name != b"tr":
            tree.start(tag)
    elif tag.name in _PARTS:
        if _close_section(tree):
            tree.start(tag)
    else:
        _table_start(tree, tag)


def _table_body_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name in _SECTIONS:
        if _in_table_scope(tree, tag.name):
            _close_section(tree)
    elif tag.name == b"table":
        if _close_section(tree):
            tree.end(tag)
    else:
        _table_end(tree, tag)


def _close_section(tree: TreeConstruction) -> bool:
    is_open = _in_table_scope(tree, *_SECTIONS)
    if is_open:
        tree.open.clear_back_to(*_SECTIONS)
        tree.open.pop()
        tree.mode = "table"
    return is_open


def _row_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name in _CELLS:
        _open(tree, tag.name, "cell", b"tr")
        tree.formatting.mark()
    elif tag.name in _PARTS:
        if _close_row(tree):
            tree.start(tag)
    else:
        _table_start(tree, tag)


def _row_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"tr":
        _close_row(tree)
    elif tag.name == b"table" or (tag.name in _SECTIONS and _in_table_scope(tree, tag.name)):
        if _close_row(tree):
            tree.end(tag)
    elif tag.name not in _PARTS:
        _table_end(tree, tag)


def _close_row(tree: TreeConstruction) -> bool:
    is_open = _in_table_scope(tree, b"tr")
    if is_open:
        tree.open.clear_back_to(b"tr")
        tree.open.pop()
        tree.mode = "table body"
    return is_open


def _cell_start(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name not in _PARTS:
        body_mode.start(tree, tag)
    elif _in_table_scope(tree, *_CELLS):
        _close_cell(tree, *_CELLS)
        tree.start(tag)


def _cell_end(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name in _CELLS:
        if _in_table_scope(tree, tag.name):
            _close_cell(tree, tag.name)
    elif tag.name in (b"table", b"tr", *_SECTIONS):
        if _in_table_scope(tree, tag.name):
            _close_cell(tree, *_CELLS)
            tree.end(tag)
    elif tag.name not in _NEVER_ENDED:
        body_mode.end(tree, tag)


def _close_cell(tree: TreeConstruction, *names: bytes) -> None:
    tree.open.close_implied()
    tree.open.pop_until(*names)
    tree.formatting.clear_to_marker()
    tree.mode = "row"


MODES = {
    "table": InsertionMode(_table_start, _table_end, _table_text),
    "caption": InsertionMode(_caption_start, _caption_end, body_mode.text),
    "column group": InsertionMode(_column_group_start, _column_group_end, _column_group_text),
    "table body": InsertionMode(_table_body_start, _table_body_end, _table_text),
    "row": InsertionMode(_row_start, _row_end, _table_text),
    "cell": InsertionMode(_cell_start, _cell_end, body_mode.text),
}
"""The modes inside a table."""
