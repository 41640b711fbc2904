from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.links.token import LinkKind
from mailwake.links.tracked_url import (
    clean_sub_path,
    click_prefix,
    click_url,
    initial_open_url,
    open_url,
    parse_path,
    parse_url,
    tracked_url,
)


def test_urls_have_the_shapes_of_the_specification() -> None:
    assert click_url("http", "localhost:8080", "", b"T") == b"http://localhost:8080/f/a/T"
    assert click_url("https", "t.example.com", "my offer", b"T") == b"https://t.example.com/f/my_offer/T"
    assert click_prefix("http", "localhost:8080") + b"T" == click_url("http", "localhost:8080", "", b"T")
    assert open_url("http", "localhost:8080", b"T") == b"http://localhost:8080/q/T"
    assert initial_open_url("http", "localhost:8080", b"T") == b"http://localhost:8080/o/T"
    assert tracked_url("http", "localhost:8080", "u", b"T") == b"http://localhost:8080/u/T"


@pytest.mark.parametrize(
    ("given_path", "path"),
    [
        ("custom_path", "custom_path"),
        ("open in app", "open_in_app"),
        ("/app/offers/", "app/offers"),
        ("a//b", "a/b"),
        ("../../q", "q"),
        ("./.", "a"),
        ("  ", "a"),
        ('x"><b>', "x%22%3E%3Cb%3E"),
        ("a?b#c", "a%3Fb%23c"),
        ("50%", "50%25"),
        ("käse", "k%C3%A4se"),
        ("a\tb\r\nc\0", "a%09b%0D%0Ac%00"),
    ],
)
def test_sub_paths_become_fit_for_a_url(given_path: str, path: str) -> None:
    assert clean_sub_path(given_path) == path


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.text("Aa0-_", min_size=1))
def test_whatever_the_sub_path_the_token_is_found_again(sub_path: str, token: str) -> None:
    url = click_url("https", "t.example.com", sub_path, token.encode()).decode()
    assert parse_url(url) == ("f", token)
    assert not set(url) & set("\"'<> \t\r\n\\^`{|}")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/f/a/TOKEN", ("f", "TOKEN")),
        ("/f/a/TOKEN).", ("f", "TOKEN")),
        ("/f/a/TOKEN%29%2E", ("f", "TOKEN")),
        ("/f/a/TOKEN%29%2c'", ("f", "TOKEN")),
        ("/q/TOKEN_*", ("q", "TOKEN_")),
        ("/f/a/TOKEN.x", ("f", "TOKEN.x")),
        ("/f/a/TOKEN%20", ("f", "TOKEN%20")),
        ("/f/a/).", None),
        ("/f/app/offers/TOKEN", ("f", "TOKEN")),
        ("/q/TOKEN", ("q", "TOKEN")),
        ("/o/TOKEN", ("o", "TOKEN")),
        ("/u/TOKEN", ("u", "TOKEN")),
        ("/f/TOKEN", None),
        ("/q/a/TOKEN", None),
        ("/x/a/TOKEN", None),
        ("/f/a/", None),
        ("/q/", None),
        ("/q", None),
        ("/f", None),
        ("//", None),
        ("/", None),
        ("", None),
        ("f/a/TOKEN", None),
        ("/fa/b/TOKEN", None),
        ("/F/a/TOKEN", None),
    ],
)
def test_paths_are_told_apart(path: str, found: tuple[str, str] | None) -> None:
    assert parse_path(path) == found


def test_a_whole_url_may_have_been_decorated() -> None:
    for url in ("http://h/f/a/T?utm_source=x", "http://h/f/a/T#top", " https://h:1/f/a/T ", "/f/a/T"):
        assert parse_url(url) == ("f", "T")
    for url in ("http://[", "http://h/", "", "T"):
        assert parse_url(url) is None


def test_every_kind_of_link_has_a_path() -> None:
    for kind in LinkKind:
        path = f"/{kind.family}/{'a/' if kind.family == 'f' else ''}T"
        assert parse_path(path) == (kind.family, "T")
