"""What the tracker's HTTP server allows its clients."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The limits of one worker, over all its addresses."""

    header_timeout: float = 5.0
    """Seconds from a request's first octet (of a new connection: from its beginning) to the end of its header."""

    idle_timeout: float = 5.0
    """Seconds that a connection is kept open after an answer; also what a client has to take an answer in."""

    target_octets: int = 57_344
    """The longest request target; a token has up to 43,696 characters, and some programs append parameters."""

    header_octets: int = 65_536
    """The longest request header, its first line included."""

    header_fields: int = 100
    """Fields of a header; browsers send a dozen, and proxies add a few."""

    body_octets: int = 4096
    """The longest body, where one is taken at all."""

    buffered_octets: int = 65_536
    """What is read ahead of further requests while one is being answered."""

    connections: int = 10_000
    """Connections open at once; beyond it the oldest that waits for a request is closed."""

    grace: float = 30.0
    """Seconds that requests in hand have for their end when the server stops."""
