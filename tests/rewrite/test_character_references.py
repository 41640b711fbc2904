"""Character references in attributes, as a browser reads them."""

from __future__ import annotations

import random

import html5lib
import pytest

from mailwake.rewrite.character_references import decode


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("?a=1&copy=2&reg=3", "?a=1&copy=2&reg=3"),
        ("&copy;=2", "©=2"),
        ("&copy", "©"),
        ("&copyx", "&copyx"),
        ("&notit;", "&notit;"),
        ("&#38;&#x26;&#X26;&#38", "&&&&"),
        ("&#0000000000000038;", "&"),
        ("&#128;&#x81;", "€\x81"),
        ("&#0;&#x0;&#xD800;&#x110000;&#99999999999999999999;", "\ufffd" * 5),
        ("&#;&#x;&;&", "&#;&#x;&;&"),
        ("&#0x41;", "\ufffdx41;"),
        ("&bogus;", "&bogus;"),
    ],
)
def test_references(written: str, meant: str) -> None:
    assert decode(written) == meant


def test_against_html5lib() -> None:
    chance = random.Random(5)
    pieces = (
        "&",
        "#",
        "x",
        ";",
        "=",
        "amp",
        "copy",
        "not",
        "lt",
        "it",
        "1",
        "38",
        "0",
        "X26",
        "a",
        "notin",
        "128",
        " ",
        "F",
    )
    for _ in range(3000):
        written = "".join(chance.choices(pieces, k=chance.randrange(1, 8)))
        (link,) = html5lib.parseFragment(f'<a href="{written}">', namespaceHTMLElements=False)
        assert decode(written) == link.attrib["href"], written
