"""What is to change in the text of one part: spans to replace, with what, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Purpose:
    """Why a span is replaced: a copy takes the edits of the purposes that hold for it, which are added up.

    Plain integers, for an `IntFlag` would cost more than all else that is done with an edit.
    """

    NONE = 0
    CLEANUP = 1
    """Attributes and macros that are written for the tracking system: replaced whenever anything else is."""
    CLICK = 2
    OPEN = 4
    INITIAL_OPEN = 8
    AMP_OPEN = 16
    AMP_INITIAL_OPEN = 32
    HONEYPOT = 64


# A copy's values are one list: the click URLs by the number of their link, then these five, counted from its end.
HONEYPOT_SLOT = -5
OPEN_SLOT, INITIAL_OPEN_SLOT, AMP_OPEN_SLOT, AMP_INITIAL_OPEN_SLOT = -4, -3, -2, -1


class Edit(NamedTuple):
    """Replace `start:end` by `before`, the copy's own value of `slot` (None: no value), and `after`."""

    start: int
    end: int
    purpose: int
    before: bytes = b""
    slot: int | None = None
    after: bytes = b""


class Kept(NamedTuple):
    """A span of the original between two edits."""

    start: int
    end: int


def chosen(edits: Iterable[Edit], purposes: int) -> list[Edit]:
    """The edits of these purposes in the order of their spans.

    What lies inside another one is left out; of two for the same span the first one holds.
    """
    result: list[Edit] = []
    position = 0
    for edit in sorted((edit for edit in edits if edit.purpose & purposes), key=_order):
        if edit.start >= position:
            result.append(edit)
            position = edit.end
    return result


def _order(edit: Edit) -> tuple[int, bool, int]:
    # An insertion comes before what is replaced at the same place; of two that start together the longer one holds.
    return edit.start, edit.end > edit.start, -edit.end


def pieces(edits: Iterable[Edit], length: int) -> Iterator[Kept | bytes | int]:
    """A text of `length` bytes after these edits: spans that are kept, new bytes, and slot numbers, in their order."""
    position = 0
    for edit in edits:
        yield Kept(position, edit.start)
        if edit.before:
            yield edit.before
        if edit.slot is not None:
            yield edit.slot
        if edit.after:
            yield edit.after
        position = edit.end
    yield Kept(position, length)
