"""What a tag does in the body of a document (WHATWG HTML §13.2.6.4.7), as far as it decides what later tags mean.

`<select>` may hold any content since 2025, so a link in it is a link; older parsers drop it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.html import head_modes
from mailwake.html.insertion_mode import NUL, OTHER, InsertionMode
from mailwake.html.open_elements import BUTTON_SCOPE, HEADINGS, LIST_ITEM_SCOPE, Element

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.html.tags import Tag
    from mailwake.html.tree_construction import TreeConstruction

    Rule = Callable[[TreeConstruction, Tag], None]


def text(tree: TreeConstruction, kind: str) -> None:
    """Text opens again what formatting elements a block has closed."""
    if kind != NUL:
        tree.formatting.reconstruct()
        if kind == OTHER:
            tree.frameset_ok = False


def start(tree: TreeConstruction, tag: Tag) -> None:
    """A start tag in the body, or in a table where it does not belong."""
    _START.get(tag.name, _inline)(tree, tag)


def end(tree: TreeConstruction, tag: Tag) -> None:
    """An end tag of an element that is open in the body, or of none."""
    rule = _END.get(tag.name)
    if rule is None:
        tree.open.close_any(tag.name)
    else:
        rule(tree, tag)


def _close_paragraph(tree: TreeConstruction) -> None:
    if tree.open.in_scope(b"p", scope=BUTTON_SCOPE):
        tree.open.close_implied(but=b"p")
        tree.open.pop_until(b"p")


def _ignore(tree: TreeConstruction, tag: Tag) -> None:
    pass


def _inline(tree: TreeConstruction, tag: Tag) -> None:
    tree.formatting.reconstruct()
    tree.open.push(Element(tag.name))


def _block(tree: TreeConstruction, tag: Tag) -> None:
    _close_paragraph(tree)
    tree.open.push(Element(tag.name))


def _heading(tree: TreeConstruction, tag: Tag) -> None:
    _close_paragraph(tree)
    if tree.open.current.name in HEADINGS:
        tree.open.pop()
    tree.open.push(Element(tag.name))


def _preformatted(tree: TreeConstruction, tag: Tag) -> None:
    _block(tree, tag)
    tree.frameset_ok = False
    tree.skip_line_break(tag.end)


def _list_item(tree: TreeConstruction, tag: Tag) -> None:
    tree.frameset_ok = False
    names = (b"li",) if tag.name == b"li" else (b"dd", b"dt")
    closed = tree.open.nearest_item(*names)
    if closed is not None:
        tree.open.close_implied(but=closed)
        tree.open.pop_until(closed)
    _block(tree, tag)


def _form(tree: TreeConstruction, tag: Tag) -> None:
    in_template = tree.open.has(b"template")
    if tree.form is not None and not in_template:
        return
    _close_paragraph(tree)
    element = Element(b"form")
    tree.open.push(element)
    if not in_template:
        tree.form = element


def _button(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.in_scope(b"button"):
        tree.open.close_implied()
        tree.open.pop_until(b"button")
    _inline(tree, tag)
    tree.frameset_ok = False


def _link(tree: TreeConstruction, tag: Tag) -> None:
    earlier = tree.formatting.last(b"a")
    if earlier is not None:
        tree.formatting.close(b"a")
        tree.formatting.forget(earlier)
        if earlier.is_open:
            tree.open.remove(earlier)
    tree.note_link(tag)
    _formatting(tree, tag)


def _formatting(tree: TreeConstruction, tag: Tag) -> None:
    tree.formatting.reconstruct()
    tree.formatting.open_new(Element(tag.name, attributes=tree.attributes_of(tag)))


def _no_break(tree: TreeConstruction, tag: Tag) -> None:
    tree.formatting.reconstruct()
    if tree.open.in_scope(b"nobr"):
        tree.formatting.close(b"nobr")
    _formatting(tree, tag)


def _object(tree: TreeConstruction, tag: Tag) -> None:
    _inline(tree, tag)
    tree.formatting.mark()
    tree.frameset_ok = False


def _table(tree: TreeConstruction, tag: Tag) -> None:
    if not tree.quirks:
        _close_paragraph(tree)
    tree.open.push(Element(tag.name))
    tree.frameset_ok = False
    tree.mode = "table"


def _empty(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"area":
        tree.note_link(tag)
    tree.formatting.reconstruct()
    tree.frameset_ok = False


def _input(tree: TreeConstruction, tag: Tag) -> None:
    _close_select(tree)
    tree.formatting.reconstruct()
    if not tree.is_hidden_input(tag):
        tree.frameset_ok = False


def _rule(tree: TreeConstruction, tag: Tag) -> None:
    _close_paragraph(tree)
    if tree.open.in_scope(b"select"):
        tree.open.close_implied()
    tree.frameset_ok = False


def _raw_text(tree: TreeConstruction, tag: Tag) -> None:
    if tag.name == b"xmp":
        _close_paragraph(tree)
        tree.formatting.reconstruct()
    if tag.name != b"noembed":
        tree.frameset_ok = False
    tree.skip_raw_text(tag)


def _plain_text(tree: TreeConstruction, tag: Tag) -> None:
    tree.skip_raw_text(tag)


def _select(tree: TreeConstruction, tag: Tag) -> None:
    if not _close_select(tree):
        _inline(tree, tag)
        tree.frameset_ok = False


def _close_select(tree: TreeConstruction) -> bool:
    is_open = tree.open.in_scope(b"select")
    if is_open:
        tree.open.pop_until(b"select")
    return is_open


def _option(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.in_scope(b"select"):
        tree.open.close_implied(but=b"" if tag.name == b"optgroup" else b"optgroup")
    elif tree.open.current.name == b"option":
        tree.open.pop()
    _inline(tree, tag)


def _ruby_text(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.in_scope(b"ruby"):
        tree.open.close_implied(but=b"" if tag.name in (b"rb", b"rtc") else b"rtc")
    tree.open.push(Element(tag.name))


def _foreign(tree: TreeConstruction, tag: Tag) -> None:
    tree.formatting.reconstruct()
    if not tag.self_closing:
        tree.open.push(Element(tag.name, tag.name, start=tag.start))


def _body(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.has(b"body") and not tree.open.has(b"template"):
        tree.frameset_ok = False


def _frameset(tree: TreeConstruction, tag: Tag) -> None:
    if tree.frameset_ok and tree.open.has(b"body"):
        tree.become_frameset()


def _end_block(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.in_scope(tag.name):
        tree.open.close_implied()
        tree.open.pop_until(tag.name)


def _end_form(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.has(b"template"):
        _end_block(tree, tag)
        return
    form, tree.form = tree.form, None
    if form is not None and form.is_open and tree.open.in_scope(b"form"):
        tree.open.close_implied()
        tree.open.remove(form)


def _end_paragraph(tree: TreeConstruction, tag: Tag) -> None:
    _close_paragraph(tree)


def _end_list_item(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.in_scope(b"li", scope=LIST_ITEM_SCOPE):
        tree.open.close_implied(but=b"li")
        tree.open.pop_until(b"li")


def _end_description(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.in_scope(tag.name):
        tree.open.close_implied(but=tag.name)
        tree.open.pop_until(tag.name)


def _end_heading(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.in_scope(*HEADINGS):
        tree.open.close_implied()
        tree.open.pop_until(*HEADINGS)


def _end_formatting(tree: TreeConstruction, tag: Tag) -> None:
    tree.formatting.close(tag.name)


def _end_object(tree: TreeConstruction, tag: Tag) -> None:
    if tree.open.in_scope(tag.name):
        _end_block(tree, tag)
        tree.formatting.clear_to_marker()


def _rules(*rows: tuple[str, Rule]) -> dict[bytes, Rule]:
    return {name.encode(): rule for names, rule in rows for name in names.split()}


_BLOCKS = (
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header hgroup "
    "main menu nav ol search section summary ul"
)
_FORMATTING = "b big code em font i s small strike strong tt u"
_START = _rules(
    ("html caption col colgroup frame head tbody td tfoot th thead tr param source track", _ignore),
    ("base basefont bgsound link meta noframes script style template title", head_modes.head_start),
    (_BLOCKS + " p", _block),
    ("h1 h2 h3 h4 h5 h6", _heading),
    ("pre listing", _preformatted),
    ("li dd dt", _list_item),
    ("a", _link),
    (_FORMATTING, _formatting),
    ("applet marquee object", _object),
    ("area br embed img keygen wbr image", _empty),
    ("textarea xmp iframe noembed", _raw_text),
    ("option optgroup", _option),
    ("rb rtc rp rt", _ruby_text),
    ("svg math", _foreign),
    *(("form", _form), ("button", _button), ("nobr", _no_break), ("table", _table), ("input", _input), ("hr", _rule)),
    *(("select", _select), ("plaintext", _plain_text), ("body", _body), ("frameset", _frameset)),
)
_END = _rules(
    ("html body", _ignore),
    ("template", head_modes.end_template),
    (_BLOCKS + " button listing pre select", _end_block),
    ("dd dt", _end_description),
    ("h1 h2 h3 h4 h5 h6", _end_heading),
    (_FORMATTING + " a nobr", _end_formatting),
    ("applet marquee object", _end_object),
    *(("form", _end_form), ("p", _end_paragraph), ("li", _end_list_item), ("br", _empty)),
)

MODES = {
    "body": InsertionMode(start, end, text),
    "template": InsertionMode(head_modes.start_in_template, head_modes.end_in_template, text),
}
"""The modes of the body and of a template, whose text is treated as the body's."""
