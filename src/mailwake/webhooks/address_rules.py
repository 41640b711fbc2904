"""Which IP addresses a target may have: the public internet, and the networks that the operator names."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from mailwake.config.networks import network_set, parse_client, parse_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailwake.config.networks import IPAddress, IPNetwork

NOT_PUBLIC: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this machine"),
    ("10.0.0.0/8", "a private network"),
    ("100.64.0.0/10", "a carrier's inner network"),
    ("127.0.0.0/8", "this machine"),
    ("169.254.0.0/16", "the local link"),
    ("172.16.0.0/12", "a private network"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "for documentation"),
    ("192.88.99.0/24", "a relay to IPv6"),
    ("192.168.0.0/16", "a private network"),
    ("198.18.0.0/15", "for measurements"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/127", "this machine"),
    ("64:ff9b:1::/48", "a translator to IPv4"),
    ("100::/64", "nowhere"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "for documentation"),
    ("2002::/16", "a tunnel over IPv4"),
    ("3fff::/20", "for documentation"),
    ("5f00::/16", "for segment routing"),
    ("fc00::/7", "a private network"),
    ("fe80::/10", "the local link"),
    ("fec0::/10", "a private network"),
    ("ff00::/8", "multicast"),
)
"""The special-purpose registries of IANA (RFC 6890): what is not the public internet, and what it is."""

_MEANINGS = dict(NOT_PUBLIC)
_NOT_PUBLIC = network_set(parse_network(network) for network, _ in NOT_PUBLIC)
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
"""Where the last four octets are the IPv4 address that is meant: RFC 6052, and RFC 4291 §2.5.5.1."""


class AddressRules:
    """`allowed` are the networks in which targets may be although they are not public."""

    def __init__(self, allowed: Iterable[IPNetwork] = ()) -> None:
        self._allowed = network_set(allowed)

    def objection(self, text: str) -> str | None:
        """What kind of address it is that must not be connected to; None when it may be."""
        address = parse_client(text)
        if address is None:
            return "no IP address"
        if address in self._allowed:
            return None
        for meant in _meanings_of(address):
            if found := _NOT_PUBLIC.matches(meant):
                return _MEANINGS[str(found[0])]
        return None


def _meanings_of(address: IPAddress) -> Iterator[IPAddress]:
    """The address, and the IPv4 address that is wrapped in it."""
    yield address
    if isinstance(address, IPv6Address) and any(address in network for network in _TRANSLATED):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
