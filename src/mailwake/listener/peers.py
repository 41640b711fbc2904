"""What a listener's settings say of a client's address: its options, what it may use, whether it may relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.networks import network_set, parse_client
from mailwake.listener.session import PeerFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailwake.config.networks import IPNetwork
    from mailwake.config.scopes import ResolvedOptions
    from mailwake.smtp.extensions import Extension


class Peers:
    """Looks addresses up; one that is none, as XCLIENT may give, is in no network."""

    __slots__ = ("_extensions", "_relaying", "_resolve")

    def __init__(
        self,
        resolve: Callable[[str, str | None], ResolvedOptions],
        relay_networks: Iterable[IPNetwork],
        extensions: Callable[[str], frozenset[Extension]],
    ) -> None:
        self._resolve = resolve
        self._extensions = extensions
        self._relaying = network_set(relay_networks)

    def facts(self, address: str) -> PeerFacts:
        """What holds for a client at this address."""
        return PeerFacts(
            options=self._resolve(address, None),
            resolve=lambda pathway: self._resolve(address, pathway),
            trusted_network=parse_client(address) in self._relaying,
            extensions=self._extensions(address),
        )
