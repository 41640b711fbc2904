"""What a listener allows: everything is finite, and each limit has its reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.smtp.server_limits import ServerLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """Limits of one listener; times in seconds."""

    protocol: ServerLimits
    connections: int
    idle_timeout: float
    """How long a client may send nothing, between commands or inside a message (RFC 5321 §4.5.3.2.7: five minutes)."""
    command_timeout: float
    """How long one command may take from its first octet to its last."""
    data_timeout: float
    """How long the content of one message may take, however steadily it comes."""
    transactions: int
    """Messages on one connection, after which it is closed; 0 is no limit."""
    auth_failures: int
    """Wrong passwords on one connection, after which it is closed."""
    handshake_timeout: float = 60.0
    """How long a TLS handshake may take."""
