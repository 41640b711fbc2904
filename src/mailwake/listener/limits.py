"""What a listener allows: everything is finite, and each limit has its reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.smtp.limits import ServerLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """Limits of one listener; times in seconds.

    `command_timeout` is how long a client may say nothing between commands, `data_timeout` how long between two pieces
    of a message (RFC 5321 §4.5.3.2.7 asks for five minutes and three). A message that keeps moving is never cut short
    by them, but its whole transfer must not take longer than `transfer_timeout`.
    """

    protocol: ServerLimits
    connections: int
    command_timeout: float
    data_timeout: float
    transfer_timeout: float
    buffered: int = 1 << 20
    """Octets of pipelined input kept while a decision is pending; above it the transport stops reading."""
    auth_failures: int = 5
    """Failed AUTH attempts after which the connection ends."""
