"""The two header fields for unsubscribing, octet for octet, and who has seen to it already."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from mailwake.message.headers import fields
from mailwake.rewrite.unsubscribe_fields import LONGEST_URL, has_own, unsubscribe_fields

URL = b"https://links.example/u/TOKEN"


def test_a_link_alone() -> None:
    assert unsubscribe_fields(URL) == (
        b"List-Unsubscribe: <https://links.example/u/TOKEN>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )


def test_an_address_beside_it_and_another_line_break() -> None:
    assert unsubscribe_fields(URL, "leave@example.com", b"\n") == (
        b"List-Unsubscribe: <https://links.example/u/TOKEN>,\n\t<mailto:leave@example.com?subject=unsubscribe>\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\n"
    )


def test_an_address_with_characters_that_mean_something_in_a_uri() -> None:
    written = unsubscribe_fields(URL, "a?b&c%>d@example.com")
    assert b"<mailto:a%3Fb%26c%25%3Ed@example.com?subject=unsubscribe>" in written


def test_the_longest_url_fits_a_line_and_a_parser_gives_it_back_whole() -> None:
    url = URL + b"x" * (LONGEST_URL - len(URL))
    written = unsubscribe_fields(url, "leave@example.com")
    assert max(map(len, written.split(b"\r\n"))) <= 998
    message = message_from_bytes(written + b"\r\n", policy=policy.default)
    assert message["List-Unsubscribe"] == f"<{url.decode()}>,\t<mailto:leave@example.com?subject=unsubscribe>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    ("header", "own"),
    [
        (b"Subject: x\r\n", False),
        (b"List-Id: <a.example>\r\nX-List-Unsubscribe: y\r\n", False),
        (b"list-UNSUBSCRIBE: <mailto:a@b.example>\r\n", True),
        (b"Subject: x\r\nList-Unsubscribe:\r\n <https://b.example/>\r\n", True),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", True),
    ],
)
def test_the_senders_own(header: bytes, *, own: bool) -> None:
    assert has_own(fields(header, 0, len(header))) is own
