"""Other ways to find and rewrite the links of HTML, each as two functions over a text.

`find` gives the `href` values in their order. `rewrite` gives the text with each value replaced by what `change` makes
of it; with `change` None nothing is to be changed, and what comes back tells what else the candidate changes. Modules
are looked up when a candidate is made, so that one which is not installed can be left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib import import_module
from importlib.metadata import version
from typing import Any

from mailwake.html import character_references

Change = Callable[[str], str] | None
_SELECTOR = "a[href], area[href]"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way; `rewrite` is None where it cannot write HTML."""

    name: str
    find: Callable[[str], list[str]]
    rewrite: Callable[[str, Change], str] | None = None


def available() -> tuple[list[Candidate], list[str]]:
    """The candidates that are installed, and the names of those that are not."""
    found, missing = [], []
    for distribution, make in _MAKERS.items():
        try:
            candidates = make()
            release = version(distribution) if distribution != _STANDARD_LIBRARY else ""
        except ImportError:
            missing.append(distribution)
            continue
        found += [Candidate(f"{c.name} {release}".strip(), c.find, c.rewrite) for c in candidates]
    return found, missing


def _html5lib() -> list[Candidate]:
    html5lib: Any = import_module("html5lib")
    link_lists: Any = import_module("benchmarks.link_lists")

    def rewrite(text: str, change: Change) -> str:
        tree = html5lib.parse(text, namespaceHTMLElements=False)
        if change is not None:
            for element in tree.iter():
                if element.tag in ("a", "area") and "href" in element.attrib:
                    element.set("href", change(element.get("href")))
        return str(html5lib.serialize(tree, tree="etree", omit_optional_tags=False, quote_attr_values="always"))

    return [Candidate("html5lib", link_lists.by_html5lib, rewrite)]


def _lexbor() -> list[Candidate]:
    lexbor: Any = import_module("selectolax.lexbor")
    link_lists: Any = import_module("benchmarks.link_lists")

    def rewrite(text: str, change: Change) -> str:
        tree = lexbor.LexborHTMLParser(text)
        if change is not None:
            for node in tree.css(_SELECTOR):
                node.attrs["href"] = change(node.attributes["href"] or "")
        return str(tree.html)

    return [Candidate("lexbor (selectolax)", link_lists.by_lexbor, rewrite)]


def _turbohtml() -> list[Candidate]:
    turbohtml: Any = import_module("turbohtml")

    def find(text: str) -> list[str]:
        return [element.attrs["href"] or "" for element in turbohtml.parse(text, positions=False).select(_SELECTOR)]

    def rewrite(text: str, change: Change) -> str:
        document = turbohtml.parse(text, positions=False)
        if change is not None:
            for element in document.select(_SELECTOR):
                element.attrs["href"] = change(element.attrs["href"] or "")
        return str(document.html)

    def find_located(text: str) -> list[str]:
        tree = turbohtml.parse(text, source_locations=True)
        return [element.attrs["href"] or "" for element in tree.select(_SELECTOR)]

    def splice(text: str, change: Change) -> str:
        """Only the attributes are written anew, at the places that the parser gives."""
        if change is None:
            return text
        pieces, position = [], 0
        for element in turbohtml.parse(text, source_locations=True).select(_SELECTOR):
            span = element.source_location.attrs["href"]
            if span.start_offset >= position:  # a copy of a misnested link stands where the link does
                value = change(element.attrs["href"] or "").replace("&", "&amp;").replace('"', "&quot;")
                pieces += [text[position : span.start_offset], f'href="{value}"']
                position = span.end_offset
        return "".join([*pieces, text[position:]])

    return [
        Candidate("turbohtml", find, rewrite),
        Candidate("turbohtml, spliced by source_locations", find_located, splice),
    ]


def _justhtml() -> list[Candidate]:
    justhtml: Any = import_module("justhtml")

    def parse(text: str) -> Any:
        return justhtml.JustHTML(text, sanitize=False, scripting_enabled=False)

    def find(text: str) -> list[str]:
        return [node.attrs["href"] or "" for node in parse(text).query(_SELECTOR)]

    def rewrite(text: str, change: Change) -> str:
        document = parse(text)
        if change is not None:
            for node in document.query(_SELECTOR):
                node.attrs["href"] = change(node.attrs["href"] or "")
        return str(document.to_html(pretty=False))

    return [Candidate("justhtml", find, rewrite)]


def _resiliparse() -> list[Candidate]:
    tree: Any = import_module("resiliparse.parse.html").HTMLTree

    def find(text: str) -> list[str]:
        return [node.getattr("href") or "" for node in tree.parse(text).document.query_selector_all(_SELECTOR)]

    def rewrite(text: str, change: Change) -> str:
        parsed = tree.parse(text)
        if change is not None:
            for node in parsed.document.query_selector_all(_SELECTOR):
                node.setattr("href", change(node.getattr("href") or ""))
        return str(parsed)

    return [Candidate("resiliparse", find, rewrite)]


def _lxml() -> list[Candidate]:
    etree: Any = import_module("lxml.etree")

    def parse(text: str) -> Any:
        return etree.fromstring(text.encode("utf-8", "replace"), etree.HTMLParser(encoding="utf-8"))

    def links(root: Any) -> list[Any]:
        return [] if root is None else [element for element in root.iter("a", "area") if "href" in element.attrib]

    def find(text: str) -> list[str]:
        return [element.get("href") for element in links(parse(text))]

    def rewrite(text: str, change: Change) -> str:
        root = parse(text)
        if change is not None:
            for element in links(root):
                element.set("href", change(element.get("href")))
        return str(etree.tostring(root.getroottree(), method="html", encoding="unicode"))

    return [Candidate("lxml", find, rewrite)]


def _lolhtml() -> list[Candidate]:
    """lol_html, Cloudflare's rewriter; of its two bindings the other one (lol-html-py) takes no handlers."""
    rewriter: Any = import_module("lolhtml").HTMLRewriter

    class Noting:
        def __init__(self, hrefs: list[str]) -> None:
            self.hrefs = hrefs

        def element(self, element: Any) -> None:
            self.hrefs.append(element.get_attribute("href"))

    class Setting:
        def __init__(self, change: Callable[[str], str]) -> None:
            self.change = change

        def element(self, element: Any) -> None:
            element.set_attribute("href", self.change(element.get_attribute("href")))

    def run(text: str, handler: Any) -> bytes:
        out = bytearray()
        one = rewriter(out.extend)
        if handler is not None:
            one.on(_SELECTOR, handler)
        one.write(text.encode("utf-8", "replace"))
        one.end()
        return bytes(out)

    def find(text: str) -> list[str]:
        raw: list[str] = []
        run(text, Noting(raw))
        values = (value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd") for value in raw)
        return [character_references.decode(value) for value in values]

    def rewrite(text: str, change: Change) -> str:
        return run(text, Setting(change) if change else None).decode("utf-8", "replace")

    return [Candidate("lol_html (python-lolhtml)", find, rewrite)]


def _html_parser() -> list[Candidate]:
    class Links(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.hrefs: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in ("a", "area"):
                self.hrefs += [value or "" for name, value in attrs if name == "href"][:1]

    def find(text: str) -> list[str]:
        parser = Links()
        parser.feed(text)
        parser.close()
        return parser.hrefs

    return [Candidate("html.parser (Python's own)", find)]


_STANDARD_LIBRARY = "html.parser"
_MAKERS: dict[str, Callable[[], list[Candidate]]] = {
    "selectolax": _lexbor,
    "turbohtml": _turbohtml,
    "resiliparse": _resiliparse,
    "lxml": _lxml,
    "python-lolhtml": _lolhtml,
    _STANDARD_LIBRARY: _html_parser,
    "html5lib": _html5lib,
    "justhtml": _justhtml,
}
