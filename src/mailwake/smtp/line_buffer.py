"""Octets that came and were not consumed yet, given out as lines that end with CRLF and nothing else."""

from __future__ import annotations

from enum import Enum, auto

_CR = 13


class LineFlaw(Enum):
    """Why a line is no line."""

    BARE_LF = auto()
    """A LF without a CR before it: whoever sent it may disagree with us about where lines end (SMTP smuggling)."""

    TOO_LONG = auto()
    """Longer than the limit; it was swallowed up to its end."""


class LineBuffer:
    """The input of a connection; its memory is bounded by the limit given to `take_line`."""

    __slots__ = ("_overlong", "_searched", "octets")

    def __init__(self) -> None:
        self.octets = bytearray()
        """What was not consumed; message bodies are taken from here directly, between two lines."""
        self._searched = 0
        self._overlong = False

    def take_line(self, limit: int) -> bytes | LineFlaw | None:
        """The next line without its CRLF, or its flaw, or None while its end is missing.

        `limit` counts octets and includes the CRLF (RFC 5321 §4.5.3.1.4).
        """
        octets = self.octets
        end = octets.find(b"\n", self._searched)
        if end < 0:
            self._wait_for_end(limit)
            return None
        self._searched = 0
        bare = end == 0 or octets[end - 1] != _CR
        overlong = self._overlong or end + 1 > limit
        self._overlong = False
        line = b"" if bare or overlong else bytes(octets[: end - 1])
        del octets[: end + 1]
        # The flaws keep this order however the line was cut into pieces on its way.
        if bare:
            return LineFlaw.BARE_LF
        return LineFlaw.TOO_LONG if overlong else line

    def clear(self) -> None:
        """Forget all input."""
        self.octets.clear()
        self._searched = 0
        self._overlong = False

    def _wait_for_end(self, limit: int) -> None:
        octets = self.octets
        if self._overlong or len(octets) > limit:
            self._overlong = True
            del octets[:-1]  # the last one may be the CR of the CRLF
        self._searched = len(octets)
