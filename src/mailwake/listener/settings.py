"""What a listener is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mailwake.config.networks import parse_client
from mailwake.smtp.extensions import EVERY_EXTENSION, Extension

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Sequence

    from mailwake.config.networks import IPNetwork, NetworkTable
    from mailwake.config.scopes import ResolvedOptions
    from mailwake.listener.limits import ListenerLimits
    from mailwake.smtp.data_body import BareNewlines


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """What a listener is made of; `resolve` gives the tracking options for a peer's address and a pathway, or None."""

    name: str
    hostname: str
    greeting: str
    limits: ListenerLimits
    relay_networks: Sequence[IPNetwork]
    tls_context: ssl.SSLContext | None
    """With what STARTTLS is offered; None: it is not."""
    lmtp: bool = False
    """Whether LMTP is spoken instead of SMTP."""
    implicit_tls: bool = False
    """Whether TLS comes first instead (RFC 8314), before any word of SMTP."""
    certificate_required: bool = False
    """Whether only clients that have presented a certificate may send or log in."""
    auth_requires_tls: Literal["auto", "yes", "no"] = "auto"
    """Whether AUTH needs TLS: for clients on other machines, for all, for none."""
    bare_newlines: BareNewlines
    resolve: Callable[[str, str | None], ResolvedOptions]
    smtp_extensions: Callable[[str], Collection[str]] = lambda address: ()
    """The commands for trusted peers that a client at this address may use."""
    extensions: Callable[[str], frozenset[Extension]] = lambda address: EVERY_EXTENSION
    """What a client at this address may use."""
    proxies: NetworkTable[IPNetwork] | None = None
    """The load balancers that alone may connect, each connection with a PROXY header; None: clients connect here."""
    unix: bool = False
    """Whether this is a Unix socket: whoever may connect is on this machine, and was let in by the file's mode."""

    def auth_needs_tls(self, address: str) -> bool:
        """Whether a client at this address may log in under TLS only."""
        return self.auth_requires_tls == "yes" or (self.auth_requires_tls == "auto" and not is_local(address))


def is_local(address: str) -> bool:
    """Whether a client is on this machine: at a loopback address, or "" for a Unix socket."""
    found = parse_client(address)
    return not address if found is None else found.is_loopback
