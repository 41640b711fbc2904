"""IP addresses and networks: reading them, and finding the most specific network that holds an address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
T = TypeVar("T")

_MAPPED_BITS = 96  # ::ffff:0:0/96, RFC 4291 §2.5.5.2


def parse_network(text: str) -> IPNetwork:
    """A network in CIDR form, or one address as a network of its own; host bits must be zero. Raises ValueError.

    An IPv4-mapped network (`::ffff:10.0.0.0/104`) is the IPv4 network it means, as its clients are IPv4 clients.
    """
    network = ip_network(text.strip())
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def parse_client(text: str) -> IPAddress | None:
    """A peer's address as a socket gives it, IPv4-mapped ones as IPv4; None for what is no IP address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def plain_address(address: str) -> str:
    """An IPv4 client on an IPv6 socket is still an IPv4 client; a zone id is no part of an address."""
    found = parse_client(address.partition("%")[0])
    return address if found is None else str(found)


class NetworkTable(Generic[T]):
    """Values by network. A look-up costs one dictionary access for each prefix length in use, however many networks."""

    __slots__ = ("_levels",)

    def __init__(self, entries: Iterable[tuple[IPNetwork, T]] = ()) -> None:
        levels: dict[tuple[int, int], dict[int, T]] = {}
        for network, value in entries:
            shift = network.max_prefixlen - network.prefixlen
            levels.setdefault((network.version, shift), {})[int(network.network_address) >> shift] = value
        # The smallest shift is the longest prefix, and comes first.
        self._levels = sorted(levels.items(), key=lambda level: level[0])

    def matches(self, address: IPAddress | None) -> list[T]:
        """The values of all networks that hold `address`, the longest prefix first."""
        if address is None or not self._levels:
            return []
        number, version = int(address), address.version
        found = []
        for (level_version, shift), values in self._levels:
            if level_version == version and (key := number >> shift) in values:
                found.append(values[key])
        return found

    def __contains__(self, address: IPAddress | None) -> bool:
        return bool(self.matches(address))


def network_set(networks: Iterable[IPNetwork]) -> NetworkTable[IPNetwork]:
    """The networks as a table to ask `address in table`, for `relay_networks` and `trusted_proxies`."""
    return NetworkTable((network, network) for network in networks)
