"""The stack of open elements (WHATWG HTML §13.2.4.2), without a tree: only which elements are open matters here."""

from __future__ import annotations


def _names(*lists: str) -> frozenset[bytes]:
    return frozenset(name.encode() for names in lists for name in names.split())


HEADINGS = _names("h1 h2 h3 h4 h5 h6")
IMPLIED_END = _names("dd dt li optgroup option p rb rp rt rtc")
IMPLIED_END_THOROUGHLY = IMPLIED_END | _names("caption colgroup tbody td tfoot th thead tr")

_FOREIGN_SPECIAL = frozenset(
    f"{namespace} {name}".encode()
    for namespace, names in (("math", "mi mo mn ms mtext annotation-xml"), ("svg", "foreignobject desc title"))
    for name in names.split()
)
# What ends the search for an element "in scope". `select` is one since it may hold any content (2025).
SCOPE = _names("applet caption html table td th marquee object select template") | _FOREIGN_SPECIAL
LIST_ITEM_SCOPE = SCOPE | _names("ol ul")
BUTTON_SCOPE = SCOPE | _names("button")
TABLE_SCOPE = _names("html table template")
SPECIAL = (
    _names(
        "address applet area article aside base basefont bgsound blockquote body br button caption center col",
        "colgroup dd details dir div dl dt embed fieldset figcaption figure footer form frame frameset head header",
        "hgroup hr html iframe img input keygen li link listing main marquee menu meta nav noembed noframes noscript",
        "object ol p param plaintext pre script search section select source style summary table tbody td template",
        "textarea tfoot th thead title tr track ul wbr xmp",
    )
    | HEADINGS
    | _FOREIGN_SPECIAL
)
_SPECIAL_FOR_ITEMS = SPECIAL - _names("address div p")


class TooMuchWork(Exception):  # noqa: N818 - it names an outcome, not a fault
    """The document is made to be slow: its elements are nested so that each tag needs a long search."""


class Element:
    """An open element. A foreign one has its namespace in front of its name, with a space: `b"svg title"`."""

    __slots__ = ("attributes", "integration", "is_open", "name", "namespace", "start")

    def __init__(
        self,
        name: bytes,
        namespace: bytes = b"",
        integration: str = "",
        attributes: frozenset[tuple[bytes, bytes]] = frozenset(),
        start: int = -1,
    ) -> None:
        self.name = namespace + b" " + name if namespace else name
        self.namespace = namespace
        """b"svg", b"math", or b"" for HTML."""
        self.integration = integration
        """"html" when HTML rules hold for its content, "text" when for most of it (MathML's text elements)."""
        self.attributes = attributes
        """Of a formatting element: it is what tells two of one name apart (§13.2.4.3)."""
        self.start = start
        """Where the tag of an `svg`, `math` or `template` stands, in which an image would do harm or not be seen."""
        self.is_open = False


class OpenElements:
    """The stack. Searches cost steps; a document that needs far more of them than it is long raises TooMuchWork."""

    def __init__(self, steps: int) -> None:
        self.stack: list[Element] = []
        self.counts: dict[bytes, int] = {}
        """How many elements of a name are open: most searches need not be made."""
        self._steps_left = steps

    def spend(self, steps: int) -> None:
        """Count the steps of a search."""
        self._steps_left -= steps
        if self._steps_left < 0:
            raise TooMuchWork

    @property
    def current(self) -> Element:
        """The one that was opened last."""
        return self.stack[-1]

    def push(self, element: Element) -> None:
        """Open an element."""
        self.insert(len(self.stack), element)

    def insert(self, index: int, element: Element) -> None:
        """Open an element below others that stay open."""
        self.stack.insert(index, element)
        self.counts[element.name] = self.counts.get(element.name, 0) + 1
        element.is_open = True

    def pop(self) -> Element:
        """Close the current element."""
        element = self.stack.pop()
        self.counts[element.name] -= 1
        element.is_open = False
        return element

    def remove(self, element: Element) -> None:
        """Close an element below others that stay open."""
        index = self.index(element)
        del self.stack[index]
        self.counts[element.name] -= 1
        element.is_open = False

    def index(self, element: Element) -> int:
        """The place of an open element."""
        index = len(self.stack) - 1
        while self.stack[index] is not element:
            index -= 1
        self.spend(len(self.stack) - index)
        return index

    def pop_until(self, *names: bytes) -> None:
        """Pop up to and with the next element of one of these names; one of them is open."""
        while self.pop().name not in names:
            pass

    def pop_through(self, element: Element) -> None:
        """Close this open element and all above it."""
        while self.pop() is not element:
            pass

    def clear_back_to(self, *names: bytes) -> None:
        """Pop until the current element has one of these names, or is a template or the root."""
        while self.current.name not in names and self.current.name not in (b"template", b"html"):
            self.pop()

    def close_implied(self, but: bytes = b"", names: frozenset[bytes] = IMPLIED_END) -> None:
        """Generate implied end tags (§13.2.6.3)."""
        while self.current.name in names and self.current.name != but:
            self.pop()

    def has(self, name: bytes) -> bool:
        """Whether an HTML element of this name is open."""
        return self.counts.get(name, 0) > 0

    def in_scope(self, *names: bytes, scope: frozenset[bytes] = SCOPE) -> bool:
        """Whether an element of one of these names is open, with none of `scope` above it."""
        if not any(map(self.has, names)):
            return False
        for depth, element in enumerate(reversed(self.stack), 1):
            if element.name in names or element.name in scope:
                self.spend(depth)
                return element.name in names
        return False

    def nearest_item(self, *names: bytes) -> bytes | None:
        """The name of the list item (`li`, `dd`, `dt`) that a new one of these names closes."""
        if not any(map(self.has, names)):
            return None
        for depth, element in enumerate(reversed(self.stack), 1):
            if element.name in names or element.name in _SPECIAL_FOR_ITEMS:
                self.spend(depth)
                return element.name if element.name in names else None
        return None

    def close_any(self, name: bytes) -> None:
        """An end tag of no rule of its own (§13.2.6.4.7, "Any other end tag")."""
        if not self.has(name):
            return
        for depth, element in enumerate(reversed(self.stack), 1):
            if element.name == name:
                self.pop_through(element)
                return
            if element.name in SPECIAL:
                self.spend(depth)
                return
