"""Where it matters which elements are open, the links found are still those of HTML5 parsers, in bounded time."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from benchmarks.link_lists import by_lexbor, found

from mailwake.html.scanner import scan
from mailwake.html.tree_construction import TreeConstruction, scan_as_parser


@pytest.mark.parametrize(
    ("document", "hrefs"),
    [
        # An end tag of an element around the svg closes the svg, so that <style> is raw text again.
        ("<div><svg><g></div><style><a href=1></style><a href=2>", ["2"]),
        ("<div><svg><g></span><style><a href=1></style><a href=2>", ["1", "2"]),
        ("<div><table><td><svg></div><title><a href=1></title></td></table><a href=2>", ["1", "2"]),
        ("<a href=1><svg></a><style><a href=2></style>", ["1"]),
        ("<svg><foreignObject><style><a href=1></style></foreignObject><style><a href=2>", ["2"]),
        ("<svg><desc><![CDATA[><a href=1>]]><p><![CDATA[><a href=2>]]>", ["2"]),
        ("<svg><p><![CDATA[><a href=1>]]>", ["1"]),
        ("<svg><font size=1><style><a href=1></style>", []),
        ("<svg><font><style><a href=1></style>", ["1"]),
        ("<svg/><style><a href=1></style><svg><g/></svg><a href=2>", ["2"]),
        ("<svg a=b/><style><a href=1></style></svg><svg a='b'/><style><a href=2></style>", ["1"]),
        ("<div><svg><a href=1/></div><style><a href=2></style>", ["1/"]),
        ("<math><mi><style><a href=1></style><mglyph><style><a href=2></style>", ["2"]),
        ("<math><annotation-xml><svg><foreignObject><style><a href=1></style></svg><a href=2>", ["2"]),
        ('<math><annotation-xml encoding="TEXT/html"><style><a href=1></style><a href=2>', ["2"]),
        ("<math><area href=1></math><area href=2>", ["1", "2"]),
        # A frameset takes the place of the body, unless something that shows stood before it.
        ("<p><a href=1></p> &#32;\n<frameset><a href=2></frameset><noframes><a href=3></noframes>", []),
        ("<p>x<a href=1></p><frameset><a href=2>", ["1", "2"]),
        ("<body><frameset><a href=1>", ["1"]),
        ("<b>\0<input type=hidden><frameset><a href=1>", []),
        ("<input><frameset><a href=1>", ["1"]),
        ("<template><a href=1></template><frameset><a href=2>", ["1"]),
        ("<template>x<a href=1></template><p><frameset><a href=2>", ["1"]),
        ("<p><template></template><frameset><a href=1>", ["1"]),
        # Links of a template count: a parser makes elements of them, and a sender's script may show them.
        ("<template><a href=1></template><a href=2>", ["1", "2"]),
        ("<template><tr><a href=1><td><a href=2>", ["1", "2"]),
        ("<template><col><a href=1></template><a href=2>", ["2"]),
        ("<template><frameset><a href=1>", ["1"]),
        # `<select>` holds any content since 2025; older parsers drop what is no option.
        ("<select><option><a href=1>x</select><a href=2>", ["1", "2"]),
        ("<select><textarea><a href=1></textarea><a href=2>", ["2"]),
        ("<svg></svg><select><a href=1><div></select><style><a href=2></style>", ["1"]),
        ("<p><select></p><svg></p><style><a href=1></style>", []),
        # Nothing behind what never ends.
        ("<svg><a href=1><g title='><a href=2>", ["1"]),
        ("<svg><![CDATA[<a href=1>", []),
        ("<svg></svg><a href=1><plaintext><a href=2>", ["1"]),
    ],
)
def test_open_elements_matter(document: str, hrefs: list[str]) -> None:
    assert sorted(found(document.encode())) == sorted(hrefs)


@pytest.mark.parametrize(
    ("document", "body_end", "unterminated"),
    [
        # An image inside an svg ends it, so that what follows would be read by other rules.
        (b"<p><svg><g></body><![CDATA[x]]>", -1, -1),
        (b"<p><svg><desc></body></desc></svg>", 14, -1),
        (b"<p><svg><g></svg></body></html>", 17, -1),
        (b"<p><svg><g><![CDATA[<a href=1>", -1, 3),
        (b"<p><math><mi><svg><!-- <a href=1>", -1, 3),
        # In a template no image is seen.
        (b"<p><template><td></body>x", -1, 3),
        (b"<p><template></template></body>", 24, -1),
        # A raw text whose end tag never ends does not end.
        (b"<svg></svg><title>x</title ", -1, 11),
        (b"<b><title>x</title ", -1, 3),
    ],
)
def test_where_an_image_may_stand(document: bytes, body_end: int, unterminated: int) -> None:
    scanned = scan(document)
    assert (scanned.body_end, scanned.unterminated) == (body_end, unterminated)


@pytest.mark.parametrize(
    ("start", "quirks"),
    [
        ("", True),
        ("<!DOCTYPE html>", False),
        ("\ufeff <!-- x --><?xml version='1.0'?><!doctype HTML >", False),
        ("<p><!DOCTYPE html>", True),
        ("<!DOCTYPE>", True),
        ("<!DOCTYPE html x>", True),
        ('<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/x.dtd">', False),
        ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">', True),
        (
            '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/TR/x.dtd">',
            False,
        ),
        ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">', True),
        ('<!DOCTYPE html SYSTEM "about:legacy-compat">', False),
    ],
)
def test_quirks_mode(start: str, quirks: bool) -> None:
    """Only in quirks mode may a table stand in a paragraph; §13.2.6.4.1."""
    assert TreeConstruction(start.encode()).quirks is quirks


_LINKS = ("<a href=%d>", '<a class=x href="%d" title=y>', "<a href='%d'/>", "<area href=%d>", "</a>")
_BLOCKS = ("<p>", "</p>", "<div>", "</div>", "<span>", "</span>", "<table>", "<td>", "</td>", "</table>", "<b>", "</b>")
_FOREIGN = (
    *("<svg>", "</svg>", "<math>", "</math>", "<g>", "</g>", "<title>", "</title>", "<desc>", "</desc>", "<mi>"),
    *("</mi>", "<foreignObject>", "</foreignObject>", "<style>", "</style>", "<script>", "</script>", "<![CDATA["),
    *("]]>", '<annotation-xml encoding="text/html">', "<annotation-xml>", "</annotation-xml>", "<mglyph>", "<font>"),
    *("<font color=x>", "</font>", "<svg/>", "<style/>", "<title/>", "text", "<!--", "-->", "<br>", "</br>"),
)
_FRAMES = (
    *("<frameset>", "</frameset>", "<noframes>", "</noframes>", "<body>", "</body>", "<head>", "</head>", "text", " "),
    *("<title>x</title>", "<!-- x -->", "<!DOCTYPE html>", "<input type=hidden>", "<input>", "<meta>", "<li>", "\0"),
    *("<svg>", "</svg>", "<pre>", "<form>", "&#32;", "&nbsp;", "<noscript>", "</noscript>", "<caption>", "<tr>"),
)


@pytest.mark.parametrize(("pieces", "start"), [(_FOREIGN, "<div><svg>"), (_FOREIGN, "<p><math>"), (_FRAMES, "")])
def test_soup_against_lexbor(pieces: tuple[str, ...], start: str) -> None:
    chance = random.Random(start + "2026")
    wrong = []
    for _ in range(3000):
        soup = start + "".join(chance.choices(_LINKS + _LINKS + _BLOCKS + pieces, k=chance.randrange(1, 25)))
        first, *others = soup.split("%d")
        document = first + "".join(f"{number}{rest}" for number, rest in enumerate(others))
        ours = found(document.encode())
        # Each link has its own number, so that a copy which a parser makes of it is one with it.
        if len(ours) != len(set(ours)) or set(ours) != set(by_lexbor(document)):
            wrong.append((document, ours))
    assert wrong == []


def test_both_ways_to_scan_agree(corpus: list[Any]) -> None:
    """The scanner and the tree construction, which share little but tokens, find the same in all of the corpus."""
    assert [file.name for file in corpus if scan(file.content) != scan_as_parser(file.content)] == []


HOSTILE = {
    "formatting elements": (b"<svg></svg>", b"<b class=%d>"),
    "adoption": (b"<svg></svg>", b"<b>" * 60 + b"<div>" * 60 + b"</b>" * 400 + b"</div>" * 60),
    "reconstruction": (b"<svg></svg><p>" + b"".join(b"<b x=%d>" % n for n in range(3000)) + b"</p>", b"<p>x</p>"),
    "no such element": (b"<svg></svg><x>" + b"<span>" * 3000, b"</y>"),
    "out of scope": (b"<svg></svg><div><table><td>" + b"<span>" * 3000, b"</div>"),
    "foreign end tags": (b"<svg>" + b"<g>" * 3000, b"</x>"),
    "unmatched end tags": (b"<div>" * 3000 + b"<svg>", b"</i><g>"),
    "breakouts": (b"", b"<svg><g><p>"),
    "templates": (b"", b"<template><td>"),
    "tables": (b"<svg></svg>", b"<table><td>"),
    "links in links": (b"<svg></svg>", b"<a href=x><p>"),
    "nul": (b"<svg></svg>", b"\0<p>"),
    "attributes": (b"<svg></svg><b ", b"a=1 "),
    "sections": (b"<svg>", b"<![CDATA[]] "),
    "framesets": (b"x", b"<frameset>"),
}


@pytest.mark.parametrize(("head", "piece"), HOSTILE.values(), ids=HOSTILE.keys())
def test_time_grows_with_length(head: bytes, piece: bytes) -> None:
    """Four times the input must not take more than about four times the time; CPU time, best of three."""

    def cost(size: int) -> float:
        pieces = (piece % number if b"%d" in piece else piece for number in range(size // len(piece)))
        document = head + b"".join(pieces)
        times = []
        for _ in range(3):
            start = time.process_time()
            scan(document)
            times.append(time.process_time() - start)
        return min(times)

    assert cost(200_000) < 16 * max(cost(50_000), 0.002)


def test_a_document_made_to_be_slow_is_left_alone_from_some_place_on() -> None:
    document = b"<svg></svg><a href=1></a>" + b"<b>" * 3 + b"<div>" * 20_000 + b"</b>" * 20_000 + b"<a href=2>"
    scanned = scan(document)
    assert len(scanned.links) == 1
    assert 0 < scanned.unterminated < len(document)
