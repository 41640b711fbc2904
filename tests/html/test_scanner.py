"""The links found are those that HTML5 parsers find, on real mail and on hostile snippets; the scan stays linear."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.link_lists import by_html5lib, by_lexbor, found, without_copies
from tests.rewrite.growth import grows_with_length

from mailwake.html.scanner import scan
from mailwake.rewrite.charsets import LeftAlone, working_text

if TYPE_CHECKING:
    from collections.abc import Callable


def test_adversarial_snippets(adversarial: list[dict[str, Any]]) -> None:
    wrong = {}
    for row in adversarial:
        ours = found(row["html_latin1"].encode("latin-1"))
        if ours != without_copies(row["hrefs"], ours):
            wrong[row["name"]] = (ours, row["hrefs"])
    assert wrong == {}


@pytest.mark.parametrize("oracle", [by_html5lib, by_lexbor])
def test_corpus_against_oracles(corpus: list[Any], oracle: Callable[[str], list[str]]) -> None:
    wrong, links = {}, 0
    for file in corpus:
        try:
            text = working_text(file.content, (file.charset or "").encode())
        except LeftAlone:
            continue
        ours = found(text.octets, text.codec)
        theirs = oracle(text.octets.decode(text.codec, "replace").removeprefix("\ufeff"))
        links += len(ours)
        if ours != without_copies(theirs, ours):
            wrong[file.name] = (len(ours), len(theirs))
    assert wrong == {}
    assert links > 900  # the comparison compared something


_FRAGMENTS = (
    *(
        '<a href="http://e.com/1">',
        "<a href='x&amp;y'",
        "<a href=u>",
        "</a>",
        "<area href=q>",
        "<p>",
        "</p>",
        "<table>",
    ),
    *(
        "<td>",
        "</table>",
        "<!--",
        "-->",
        "--!>",
        "<!-->",
        "<!x>",
        "<?p>",
        "<style>",
        "</style>",
        "<script>",
        "</script>",
    ),
    *("<title>", "</title>", "<textarea>", "</textarea>", "<xmp>", "</xmp>", '"', "'", "=", ">", "<", "/", " ", "\n"),
    *("text", "<body>", "</body>", "<br/>", "<noscript>", "</noscript>", "<![CDATA[", "]]>", "<![if x]>", "&lt;"),
    "<div a='>' b=\">\">",
)


def test_soup_against_html5lib() -> None:
    """Random sequences of tags and their pieces; svg, math, template and frameset have tests of their own."""
    chance = random.Random(20261122)
    wrong = []
    for _ in range(1500):
        document = "".join(chance.choices(_FRAGMENTS, k=chance.randrange(1, 25)))
        ours = found(document.encode())
        if ours != without_copies(by_html5lib(document), ours):
            wrong.append((document, ours, by_html5lib(document)))
    assert wrong == []


HOSTILE = {
    "less than": b"<",
    "comments": b"<!--",
    "link tags": b"<a ",
    "open quotes": b'<a href="',
    "single quotes": b"<a href='x' '",
    "svg": b"<svg>",
    "svg and breakout": b"<svg><p>",
    "math and svg": b"<math><mi><svg><desc>",
    "scripts": b"<script><!--",
    "raw text": b"<style>",
    "slashes": b"<a/",
    "bogus comments": b"<!x",
    "end tags": b"</",
    "cdata": b"<svg><![CDATA[",
    "equals": b"<a =",
    "conditional comments": b"<!--[if mso]",
    "framesets": b"<html><frameset>",
    "nul": b"\0<\0a\0",
    "dashes": b"<!-- - -",
    "hidden elements": b'<div style="display:none">',
    "usual attributes": b' a="b"',
    "table cells": b'<td a="b" c=\'',
    "scripts in scripts": b"<script><!--<script></script>",
    "almost end tags": b"<title></titl",
    "attributes apart": b"a \n= \n",
    "brackets": b"<svg><![CDATA[ ] ]",
    "templates": b"<template><a href=x>",
    "tables": b"<table><td><svg>",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_grows_with_length(piece: bytes) -> None:
    assert grows_with_length(scan, b"", piece)


def test_a_cost_that_grows_faster_is_noticed() -> None:
    def copy_the_rest_again_and_again(document: bytes) -> None:
        for position in range(0, len(document), 256):
            document[position:].count(b"x")

    assert not grows_with_length(copy_the_rest_again_and_again, b"", b"y")
