"""Octets from a server cut into replies (RFC 5321 §4.2), without a look at what they say."""

from __future__ import annotations


class ReplyReader:
    """Collects octets until a reply is whole: a line whose code is followed by anything but a hyphen ends it."""

    def __init__(self) -> None:
        self._partial = b""
        self._lines: list[bytes] = []

    @property
    def pending(self) -> int:
        """How many octets of an unfinished reply are held."""
        return len(self._partial) + sum(map(len, self._lines))

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The replies that are now whole, each as its lines without CRLF."""
        buffered = self._partial + data if self._partial else data
        lines = buffered.split(b"\r\n")
        self._partial = lines.pop()
        replies = []
        for line in lines:
            self._lines.append(line)
            if line[3:4] != b"-" or not line[:3].isdigit():
                replies.append(self._lines)
                self._lines = []
        return replies

    def clear(self) -> None:
        """Forget what is held."""
        self._partial = b""
        self._lines = []
