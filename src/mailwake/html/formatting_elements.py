"""The list of active formatting elements, and what becomes of `<b>`, `<a>` and their like closed in the wrong place.

WHATWG HTML §13.2.4.3 and the adoption agency of §13.2.6.4.7. It makes copies of elements, which are no links of ours,
but which elements are open decides what a later tag means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.html.open_elements import SCOPE, SPECIAL, Element

if TYPE_CHECKING:
    from mailwake.html.open_elements import OpenElements

_MOST_ALIKE = 3
_OUTER_LOOPS, _INNER_LOOPS = 8, 3


class FormattingElements:
    """The list; None is a marker, beyond which nothing is looked for."""

    def __init__(self, open_elements: OpenElements) -> None:
        self._open = open_elements
        self.entries: list[Element | None] = []

    def open_new(self, element: Element) -> None:
        """Open a formatting element and note it; of four alike the earliest is forgotten."""
        self._open.push(element)
        alike = []
        for index in range(len(self.entries) - 1, -1, -1):
            entry = self.entries[index]
            if entry is None:
                break
            if entry.name == element.name and entry.attributes == element.attributes:
                alike.append(index)
        self._open.spend(len(self.entries))
        if len(alike) >= _MOST_ALIKE:
            del self.entries[alike[-1]]
        self.entries.append(element)

    def mark(self) -> None:
        """Set a marker: in a table cell, an object or a template, nothing from outside is opened again."""
        self.entries.append(None)

    def clear_to_marker(self) -> None:
        """Forget all up to and with the last marker."""
        while self.entries and self.entries.pop() is not None:
            pass

    def reconstruct(self) -> None:
        """Open again what a block's end closed: `<p><b></p>` goes on in bold."""
        start = len(self.entries)
        while start and (entry := self.entries[start - 1]) is not None and not entry.is_open:
            start -= 1
        self._open.spend(4 * (len(self.entries) - start))
        for index in range(start, len(self.entries)):
            entry = self.entries[index]
            if entry is not None:
                self.entries[index] = copy = _copy(entry)
                self._open.push(copy)

    def last(self, name: bytes) -> Element | None:
        """The last element of this name after the last marker."""
        for depth, entry in enumerate(reversed(self.entries), 1):
            if entry is None or entry.name == name:
                self._open.spend(depth)
                return entry
        return None

    def forget(self, element: Element) -> None:
        """Take an element off the list, if it is on it."""
        if element in self.entries:
            self._open.spend(len(self.entries))
            self.entries.remove(element)

    def close(self, name: bytes) -> None:
        """The adoption agency algorithm."""
        current = self._open.current
        if current.name == name and current not in self.entries:
            self._open.pop()
            return
        for _ in range(_OUTER_LOOPS):
            element = self.last(name)
            if element is None:
                self._open.close_any(name)
                return
            if not element.is_open:
                self.forget(element)
                return
            if not self._is_in_scope(element) or self._adopt(element):
                return

    def _is_in_scope(self, element: Element) -> bool:
        for depth, entry in enumerate(reversed(self._open.stack), 1):
            if entry is element or entry.name in SCOPE:
                self._open.spend(depth)
                return entry is element
        return False

    def _adopt(self, element: Element) -> bool:
        """One round; True when it was the last."""
        stack = self._open.stack
        index = self._open.index(element)
        block = next((entry for entry in stack[index + 1 :] if entry.name in SPECIAL), None)
        if block is None:
            self._open.pop_through(element)
            self.forget(element)
            return True
        bookmark = self._copy_between(index, block, self.entries.index(element))
        copy = _copy(element)
        old_place = self.entries.index(element)
        self.entries.insert(bookmark, copy)
        del self.entries[old_place + (bookmark <= old_place)]
        self._open.remove(element)
        self._open.insert(self._open.index(block) + 1, copy)
        return False

    def _copy_between(self, index: int, block: Element, bookmark: int) -> int:
        """Copy the formatting elements between `index` and the block, close the other ones; gives the bookmark."""
        last, below = block, self._open.index(block) - 1
        self._open.spend((below - index) * 2)
        for count, node in enumerate(reversed(self._open.stack[index + 1 : below + 1]), 1):
            if count > _INNER_LOOPS and node in self.entries:
                bookmark -= self.entries.index(node) < bookmark
                self.entries.remove(node)
            if node not in self.entries:
                self._open.remove(node)
                continue
            copy, place = _copy(node), self._open.index(node)
            self.entries[self.entries.index(node)] = copy
            self._open.remove(node)
            self._open.insert(place, copy)
            if last is block:
                bookmark = self.entries.index(copy) + 1
            last = copy
        return bookmark


def _copy(element: Element) -> Element:
    return Element(element.name, attributes=element.attributes)
