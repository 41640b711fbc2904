"""Where a click leads, which links are left alone, names and sub-paths."""

from __future__ import annotations

import pytest

from mailwake.rewrite.link_target import link_name, resolve, sub_path


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("http://e.com/?a=1&b=2#c", "http://e.com/?a=1&b=2#c"),
        ("HTTPS://E.Com/A%20b%zz/../x", "HTTPS://E.Com/A%20b%zz/../x"),
        (" \n\x00http://e.com/a\r\n\tb c \x1f", "http://e.com/ab c"),
        ("ht\ntp://e.com/", "http://e.com/"),
        ("http://münchen.de/straße?q=ö#é", "http://xn--mnchen-3ya.de/stra%C3%9Fe?q=%C3%B6#%C3%A9"),
        ("http://straße.de", "http://xn--strae-oqa.de"),
        # A control character must not come into a `Location` field: such a host is no name, as it was none before.
        ("http://straße.\x1b/", "http://stra%C3%9Fe.%1B/"),
        ("http://\x17:þ/", "http://%17:%C3%BE/"),
        ("http://MÜNCHEN.de:8080/", "http://xn--mnchen-3ya.de:8080/"),
        ("http://例え。jp/パス", "http://xn--r8jz45g.jp/%E3%83%91%E3%82%B9"),
        ("http://ü:p@e.com/", "http://%C3%BC:p@e.com/"),
        ("http://ｅ.com/", "http://e.com/"),
        ("http://e.com/\x01\x7f\ufffd", "http://e.com/%01%7F%EF%BF%BD"),
        ("http://{{host}}/{{path}}", "http://{{host}}/{{path}}"),
    ],
)
def test_targets(value: str, target: str) -> None:
    assert resolve(value) == (target, "")


def test_a_host_never_turns_into_another_one() -> None:
    # U+2100 decomposes to "a/c", U+FF0F to "/": a browser refuses such a host.
    assert resolve("http://evil℀.com/")[0] == "http://evil%E2%84%80.com/"
    assert resolve("http://evil.com／.good.com/")[0] == "http://evil.com%EF%BC%8F.good.com/"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("#top", "anchor"),
        ("mailto:a@b", "scheme mailto"),
        ("TEL:1", "scheme tel"),
        ("x-made-up:1", "scheme other"),
        ("/path", "relative"),
        ("//e.com/", "relative"),
        ("www.e.com", "relative"),
        ("http:///x", "no host"),
        ("http:e.com", "scheme http"),
        ("http://e.com/" + "x" * 4084, "too long"),
        ("http://e.com/" + "ä" * 700, "too long"),
    ],
)
def test_links_that_stay(value: str, reason: str) -> None:
    assert resolve(value)[1] == reason


def test_the_longest_target() -> None:
    assert resolve("http://e.com/" + "x" * 4083)[1] == ""


def test_names_are_cut_at_63_bytes_between_characters() -> None:
    assert link_name("banner") == "banner"
    assert link_name(None) == link_name("") == "Raw URL"
    assert link_name("ä" * 40) == "ä" * 31
    assert len(link_name("x" * 100)) == 63


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, "a"),
        ("", "a"),
        ("custom_path", "custom_path"),
        ("my path", "my_path"),
        ("/x/y/", "x/y"),
        ('a"b=c&d', "a%22b%3Dc%26d"),
        ("ä", "%C3%A4"),
        ("..", "a"),
        ("x/../y", "a"),
        ("x//y", "a"),
        ("x" * 300, "a"),
    ],
)
def test_sub_paths(value: str | None, path: str) -> None:
    assert sub_path(value) == path
