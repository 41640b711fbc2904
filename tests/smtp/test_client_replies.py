"""Replies are cut from octets in the same way however these come."""

from __future__ import annotations

import pytest

from mailwake.smtp.client_replies import ReplyReader

OCTETS = b"250 a\r\n250-b\r\n250-\r\n250 c\r\n354\r\n250-x y\r\nodd-line\r\n-\r\n\r\n2"
REPLIES = [
    [b"250 a"],
    [b"250-b", b"250-", b"250 c"],
    [b"354"],
    [b"250-x y", b"odd-line"],
    [b"-"],
    [b""],
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_replies_are_whole_lines(size: int) -> None:
    reader = ReplyReader()
    replies = []
    for start in range(0, len(OCTETS), size):
        replies += reader.feed(OCTETS[start : start + size])
    assert replies == REPLIES
    assert reader.pending == 1


def test_what_is_held_is_counted_and_can_be_forgotten() -> None:
    reader = ReplyReader()
    assert reader.feed(b"250-ab\r\n250-c") == []
    assert reader.pending == len(b"250-ab") + len(b"250-c")
    reader.clear()
    assert reader.pending == 0
    assert reader.feed(b"220 x\r\n") == [[b"220 x"]]
