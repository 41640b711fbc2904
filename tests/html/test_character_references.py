"""Character references in attributes, as a browser reads them."""

from __future__ import annotations

import random
from html.entities import html5
from typing import TYPE_CHECKING

import html5lib
import pytest
from benchmarks.link_lists import by_html5lib, by_lexbor

from mailwake.html.character_references import decode

if TYPE_CHECKING:
    from collections.abc import Callable


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


_BEHIND = ("", "=", "a", "1", " ", "&", ";", "/")


def every_name() -> list[str]:
    names = sorted({name.rstrip(";") for name in html5})
    return [f"&{name}{semicolon}{behind}" for name in names for semicolon in ("", ";") for behind in _BEHIND]


def many_numbers() -> list[str]:
    chance = random.Random(20261126)
    codes = [*range(0x100), *range(0xD7FE, 0xD803), *range(0xDFFD, 0xE002), 0xFDD0, 0xFFFE, 0xFFFF, 0x1FFFE]
    codes += [0x10FFFF, 0x110000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 64, 10**40]
    codes += [chance.randrange(0x110000) for _ in range(2000)]
    return [
        f"&{form.format(code)}{behind}"
        for code in codes
        for form in ("#{}", "#00{}", "#x{:x}", "#X0{:X}")
        for behind in (";", "", "=", "g", "&")
    ]


@pytest.mark.parametrize("oracle", [by_html5lib, by_lexbor])
@pytest.mark.parametrize("values", [every_name, many_numbers])
def test_all_of_them(oracle: Callable[[str], list[str]], values: Callable[[], list[str]]) -> None:
    written = values()
    meant = oracle("".join(f'<a href="{value}"></a>' for value in written))
    assert len(meant) == len(written) > 30_000
    wrong = [
        (value, decode(value), right) for value, right in zip(written, meant, strict=True) if decode(value) != right
    ]
    assert wrong == []
