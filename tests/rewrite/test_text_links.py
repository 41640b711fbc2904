"""URLs in plain text: their right end, and the notes behind them."""

from __future__ import annotations

import pytest

from mailwake.rewrite.edits import Purpose
from mailwake.rewrite.found_links import LinkCollector
from mailwake.rewrite.settings import DEFAULT_SETTINGS, RewriteSettings
from mailwake.rewrite.text_links import find, urls

CASES = [
    ("See http://e.com/a.", ["http://e.com/a"]),
    ("http://e.com/a, http://e.com/b; http://e.com/c!", ["http://e.com/a", "http://e.com/b", "http://e.com/c"]),
    ("(http://e.com/a)", ["http://e.com/a"]),
    ("http://en.wikipedia.org/wiki/Foo_(bar)", ["http://en.wikipedia.org/wiki/Foo_(bar)"]),
    ("(see http://en.wikipedia.org/wiki/Foo_(bar)).", ["http://en.wikipedia.org/wiki/Foo_(bar)"]),
    ("<http://e.com/a>", ["http://e.com/a"]),
    ("<URL:https://e.com/a?b=c>", ["https://e.com/a?b=c"]),
    ("[http://e.com/a]", ["http://e.com/a"]),
    ('"http://e.com/a"', ["http://e.com/a"]),
    ("'http://e.com/a'", ["http://e.com/a"]),
    ("[text](http://e.com/a)", ["http://e.com/a"]),
    ("*http://e.com/a*", ["http://e.com/a"]),
    ("_http://e.com/a_ ~http://e.com/b~", ["http://e.com/a", "http://e.com/b"]),
    (
        "http://e.com/watch?v=abc_ http://e.com/~ _http://e.com/~",
        ["http://e.com/watch?v=abc_", *["http://e.com/~"] * 2],
    ),
    ("|http://e.com/a|http://e.com/b|", ["http://e.com/a|http://e.com/b"]),
    ("http://e.com/a\u2014 http://e.com/b\u2013", ["http://e.com/a", "http://e.com/b"]),
    ("\u200ehttp://e.com/a\u200f \u2066http://e.com/b\u2069", ["http://e.com/a", "http://e.com/b"]),
    ("http://e.com/a\u200cb", ["http://e.com/a\u200cb"]),
    ("http://e.com/a,http://e.com/b", ["http://e.com/a,http://e.com/b"]),
    ("http://e.com/a?b=c&d=e#f", ["http://e.com/a?b=c&d=e#f"]),
    ("HTTPS://E.COM/A", ["HTTPS://E.COM/A"]),
    ("http://localhost:8080/x", ["http://localhost:8080/x"]),
    ("http://[::1]/x", ["http://[::1]/x"]),
    ("http://münchen.de/straße", ["http://münchen.de/straße"]),
    ("http://例え.jp/パス", ["http://例え.jp/パス"]),
    ("見て http://e.com/a。次", ["http://e.com/a。次"]),
    ("http://e.com/a。", ["http://e.com/a"]),
    ("見てhttp://e.com/a", ["http://e.com/a"]),
    ("http://e.com/a\r\nhttp://e.com/b\r\n", ["http://e.com/a", "http://e.com/b"]),
    ("ftp://e.com/a mailto:x@e.com www.e.com e.com", []),
    ("xhttp://e.com", []),
    ("http://", []),
    ("http:// e.com", []),
    ("http:///x", []),
    ("http://u:p@e.com/x", ["http://u:p@e.com/x"]),
    ("http://e.com/~a/_b_/", ["http://e.com/~a/_b_/"]),
    ("http://e.com/{{id}}/x", ["http://e.com/{{id}}/x"]),
    ("http://e.com/?a[]=1&b[x]=2", ["http://e.com/?a[]=1&b[x]=2"]),
    ("http://e.com/[[wiki]]", ["http://e.com/[[wiki]]"]),
    ('http://e.com/a?q="x"', ["http://e.com/a?q="]),
    ("http://e.com/a...", ["http://e.com/a"]),
    ("http://e.com/a?!", ["http://e.com/a"]),
    (">> http://e.com/q quoted", ["http://e.com/q"]),
    ("http://e.com/x/http://f.com/y", ["http://e.com/x/http://f.com/y"]),
    ("http://e.com/a\u00a0b", ["http://e.com/a"]),
    ("http://e.com/a\u200bb", ["http://e.com/a"]),
    ("«http://e.com/a»", ["http://e.com/a"]),
    ("“http://e.com/a”", ["http://e.com/a"]),
    ("http://e.com/a\u2003http://e.com/b", ["http://e.com/a", "http://e.com/b"]),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_urls(text: str, expected: list[str]) -> None:
    found = list(urls(text.encode(), "utf-8"))
    assert [url.url for url in found] == expected
    assert [text.encode()[url.start : url.end].decode() for url in found] == expected


@pytest.mark.parametrize("codec", ["cp932", "gb18030", "big5hkscs", "euc-jp"])
def test_two_byte_charsets(codec: str) -> None:
    text = "見表http://e.com/例。 (http://e.com/b)、"
    found = list(urls(text.encode(codec), codec))
    assert [url.url for url in found] == ["http://e.com/例", "http://e.com/b"]
    assert [text.encode(codec)[url.start : url.end].decode(codec) for url in found] == [url.url for url in found]


def test_damaged_bytes_end_a_url() -> None:
    assert [url.url for url in urls(b"http://e.com/a\xffb http://e.com/c", "utf-8")] == [
        "http://e.com/a",
        "http://e.com/c",
    ]


def test_joined_lines_of_format_flowed() -> None:
    text = b"see http://e.com/long \r\n-path/x \r\nand http://e.com/end \r\n> http://e.com/q \r\n"
    found = list(urls(text, "utf-8", joined_lines=True))
    assert [url.url for url in found] == ["http://e.com/long", "http://e.com/end", "http://e.com/q"]
    (url,) = urls(b"http://e.com/long \r\npath/x. \r\n", "utf-8", joined_lines=True)
    assert (url.url, url.start, url.end) == ("http://e.com/longpath/x", 0, 26)


def collected(text: bytes, settings: RewriteSettings = DEFAULT_SETTINGS) -> tuple[LinkCollector, bytes]:
    collector = LinkCollector()
    edits = find(text, "utf-8", collector, settings)
    for edit in sorted(edits, reverse=True):
        if edit.purpose == Purpose.CLEANUP:
            text = text[: edit.start] + edit.before + text[edit.end :]
    return collector, text


def test_notes() -> None:
    collector, cleaned = collected(
        b'http://e.com/a[[data-msys-clicktrack="0"]] http://e.com/b.[[data-msys-unsubscribe=1]]'
        b'[[data-msys-sublink="x y"]]. '
        b"http://e.com/c[[data-msys-linkname=\"n\" data-msys-sublink='p']]"
    )
    assert cleaned == b"http://e.com/a http://e.com/b.. http://e.com/c"
    first, second, third = collector.links
    assert (first.tracked, first.reason) == (False, "data-msys-clicktrack=0")
    assert (second.target, second.unsubscribe, second.sub_path) == ("http://e.com/b.", True, "x_y")
    assert (third.name, third.sub_path) == ("Raw URL", "p")


def test_lines_and_limits() -> None:
    text = b"http://e.com/1\r\n\r\nhttp://e.com/2\r\nhttp://e.com/3"
    links = collected(text)[0].links
    assert [(link.line, link.tracked) for link in links] == [(1, True), (3, True), (4, True)]
    links = collected(text, RewriteSettings(text_click_limit=2))[0].links
    assert [link.reason for link in links] == ["", "", "text links off"]
    links = collected(text, RewriteSettings(text_click_tracking=False))[0].links
    assert [link.reason for link in links] == ["text links off"] * 3
