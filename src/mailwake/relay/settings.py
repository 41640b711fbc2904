"""How to talk to the smart host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TlsPolicy = Literal["none", "may", "must", "verify"]


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """The next hop and how connections to it are used; times are in seconds.

    The timeouts are the minimum values of RFC 5321 §4.5.3.2, except that of connecting: two more minutes there would
    only keep senders waiting for a host that is down.
    """

    host: str
    port: int = 25
    helo_name: str = "localhost"
    """The name given in EHLO: this host's own domain name."""

    tls: TlsPolicy = "may"
    """none: never; may: STARTTLS when offered, any certificate, in the clear when the handshake fails; must: STARTTLS
    or nothing, any certificate; verify: the certificate must be valid for `host`."""

    username: str = ""
    """With a password: log in by AUTH PLAIN or LOGIN. Both go over a clear connection only if `tls` is "none", or "may"
    and the hop offers no STARTTLS; with them a failed handshake never falls back to clear."""

    password: str = field(default="", repr=False)
    ca_file: str = ""
    """PEM file of the authorities trusted with `tls = "verify"`; the system's own when empty."""

    max_connections: int = 20
    """For each worker process."""

    idle_seconds: float = 30.0
    """An unused connection is closed after this; below the five minutes that hops must allow (§4.5.3.2.7)."""

    max_messages_per_connection: int = 0
    """A connection is closed after this many transactions; 0 is no limit."""

    chunking: bool = True
    """Whether BDAT is used when the hop offers CHUNKING (RFC 3030)."""

    connect_timeout: float = 30.0
    greeting_timeout: float = 300.0
    command_timeout: float = 300.0
    content_timeout: float = 600.0
    """For the hop to take the next block of content, and then for its reply to the whole."""

    wait_timeout: float = 60.0
    """How long a copy waits for one of `max_connections` to become free before it is given up as unreachable."""

    @property
    def address(self) -> str:
        """Host and port as people write them; IPv6 addresses in square brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
