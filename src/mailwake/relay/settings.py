"""How to talk to the smart host."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal

TlsPolicy = Literal["none", "may", "must", "verify"]
Without8BitMime = Literal["convert", "send", "refuse"]
NextHopProtocol = Literal["smtp", "lmtp"]


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """The next hop and how connections to it are used; times are in seconds.

    The timeouts are the minimum values of RFC 5321 §4.5.3.2, except that of connecting: two more minutes there would
    only keep senders waiting for a host that is down.
    """

    host: str
    port: int = 25
    unix_path: str = ""
    """The path of a Unix socket, used instead of `host` and `port` when set."""

    protocol: NextHopProtocol = "smtp"
    """lmtp: LHLO, and the hop answers for its own delivery (RFC 2033)."""

    helo_name: str = "localhost"
    """The name given in EHLO: this host's own domain name."""

    tls: TlsPolicy = "may"
    """none: never; may: STARTTLS when offered, any certificate, in the clear when the handshake fails; must: STARTTLS
    or nothing, any certificate; verify: the certificate must be valid for `tls_name`. Over a Unix socket "may" is
    "none": nobody stands in that path."""

    implicit_tls: bool = False
    """Whether TLS starts with the first octet, as on port 465 (RFC 8314 §3.3), instead of by STARTTLS. "may" is then
    "must", and "none" cannot be used."""

    tls_name: str = ""
    """The name that the certificate must hold with "verify", and that is asked for (SNI); `host` when empty."""

    username: str = ""
    """With a password: log in by AUTH PLAIN or LOGIN. Both go over a clear connection only if `tls` is "none", or "may"
    and the hop is on this machine: elsewhere whoever stands in the path could hide STARTTLS and read the password."""

    password: str = field(default="", repr=False)
    ca_file: str = ""
    """PEM file of the authorities trusted with `tls = "verify"`; the system's own when empty."""

    tls_certificate: str = ""
    """PEM file of the certificate to show to a hop that asks for one, with its chain; none when empty."""

    tls_key: str = ""
    """PEM file of its private key; `tls_certificate` holds it when empty."""

    max_connections: int = 20
    """For each worker process."""

    max_in_flight: int = 4
    """How many messages may be on their way at once over one connection, where the hop offers PIPELINING and CHUNKING;
    1 waits for each reply before the next message is sent."""

    idle_seconds: float = 30.0
    """An unused connection is closed after this; below the five minutes that hops must allow (§4.5.3.2.7)."""

    max_messages_per_connection: int = 0
    """A connection is closed after this many transactions; 0 is no limit."""

    max_connection_age: float = 300.0
    """A connection this old takes no more transactions, so that changes of DNS, load balancers and certificates reach
    every sender in the end; 0 is no limit."""

    chunking: bool = True
    """Whether BDAT is used when the hop offers CHUNKING (RFC 3030)."""

    without_8bitmime: Without8BitMime = "convert"
    """What becomes of 8-bit content for a hop that does not offer 8BITMIME: it is made 7-bit, goes as it is, or is
    refused (RFC 6152 §3). What came as BINARYMIME never goes as it is to a hop without BINARYMIME: with "send" it is
    converted as far as it must be, with "refuse" it is refused."""

    connect_timeout: float = 30.0
    greeting_timeout: float = 300.0
    command_timeout: float = 300.0
    content_timeout: float = 600.0
    """For the hop to take the next block of content, and then for its reply to the whole."""

    wait_timeout: float = 60.0
    """How long a copy waits for one of `max_connections` to become free before it is given up as unreachable."""

    @property
    def address(self) -> str:
        """Host and port as people write them, IPv6 addresses in square brackets; or "unix:" and the path."""
        if self.unix_path:
            return f"unix:{self.unix_path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether the hop is on this machine: a Unix socket, or a loopback address."""
        try:
            return bool(self.unix_path) or self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def certificate_name(self) -> str:
        """The name that the certificate must hold; "" for a Unix socket without `tls_name`."""
        return self.tls_name or ("" if self.unix_path else self.host)
