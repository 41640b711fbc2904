"""Which value of each tracking option applies to a connection, and which scope it came from (1-injection §1)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from mailwake.config.fields import Setting, fields_of
from mailwake.config.kinds import normal_listen_address
from mailwake.config.load import DEFAULT
from mailwake.config.networks import NetworkTable, parse_client, parse_network
from mailwake.config.scope_settings import ConnectionOptions, TrackingOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.config.load import Configuration
    from mailwake.config.scope_settings import Peer

T = TypeVar("T")


class Sourced(NamedTuple, Generic[T]):
    """A value, and in words where it came from."""

    value: T
    source: str


_UNSET: Sourced[str | None] = Sourced(None, DEFAULT)


@dataclass(frozen=True, slots=True)
class ResolvedOptions:
    """Every tracking option for one kind of connection, with its source; shared and never changed."""

    open_tracking_enabled: Sourced[bool]
    click_tracking_enabled: Sourced[bool]
    initial_open_enabled: Sourced[bool]
    honeypot_link: Sourced[bool]
    open_tracking_scheme: Sourced[str]
    click_tracking_scheme: Sourced[str]
    tracking_domain: Sourced[str]
    tracking_link_expiry: Sourced[int]
    list_unsubscribe: Sourced[bool]
    pathway: Sourced[str | None]
    """The pathway in force, configured or named by policy."""
    relay: Sourced[str | None] = _UNSET
    """The route that the pathway or its group names; None leaves it to the customer's."""

    def items(self) -> list[tuple[str, Sourced[Any]]]:
        """The options by name, in the order of the documentation."""
        return [(each.name, getattr(self, each.name)) for each in fields(self)]


@dataclass(frozen=True, slots=True)
class ResolvedConnection:
    """The options that a client's address alone decides, each with its source."""

    smtp_extensions: Sourced[tuple[str, ...]]
    """The commands for trusted peers that it may use."""
    ehlo_discard: Sourced[tuple[str, ...]]
    """The extensions that it is not offered."""

    def items(self) -> list[tuple[str, Sourced[Any]]]:
        """The options by name, in the order of the documentation."""
        return [(each.name, getattr(self, each.name)) for each in fields(self)]


@dataclass(frozen=True, slots=True)
class _Scope:
    """One place in the configuration where tracking options may stand."""

    name: str
    path: tuple[str, ...]
    options: TrackingOptions

    @property
    def pathway(self) -> str | None:
        return getattr(self.options, "pathway", None)


class ScopedOptions:
    """The tracking options of a configuration by listener, peer and pathway.

    The order, for each option by itself: the peer inside the listen scope (longest prefix first), the listen scope, the
    peer inside the listener (longest prefix first), the pathway that the most specific of these names (or that policy
    named), that pathway's group, the listener, the global value (the command line's first), the default. A pathway
    named on the listener itself applies when no more specific scope names one.
    """

    def __init__(self, configuration: Configuration) -> None:
        settings = configuration.settings
        listener = settings.esmtp_listener
        self._configuration = configuration
        self._global = _Scope("global", (), settings)
        self._listener = _Scope("esmtp_listener", ("esmtp_listener",), listener)
        self._listens: dict[str, tuple[_Scope | None, NetworkTable[_Scope]]] = {}
        for address, listen in listener.listen.items():
            path = ("esmtp_listener", "listen", address)
            table = _peer_table(listen.peer, path, f" in listen {address}")
            self._listens[address] = (_Scope(f"listen {address}", path, listen), table)
        self._peers = _peer_table(listener.peer, ("esmtp_listener",), " in esmtp_listener")
        self._resolved: dict[tuple[str | None, tuple[int, ...]], ResolvedOptions] = {}

    def resolve(self, listener: str, peer: str, pathway: str | None = None) -> ResolvedOptions:
        """The options for a client `peer` (IP address as text) at `listener` (as configured: `host:port`).

        `pathway` is the context variable of that name, which policy may set; it wins over the configured ones, and one
        that is not configured has no options. A listener that is not configured has no scope of its own. Results are
        kept, so that all clients of the same scopes share one.
        """
        scopes = self._scopes(listener, peer)
        key = (pathway, tuple(map(id, scopes)))
        found = self._resolved.get(key)
        if found is None:
            found = self._resolve(scopes, pathway)
            if pathway is None or pathway in self._configuration.settings.pathway:
                self._resolved[key] = found
        return found

    def resolve_connection(self, listener: str, peer: str) -> ResolvedConnection:
        """What else holds for a client `peer` at `listener`: of the same scopes without pathways and global values."""
        chain = [*self._scopes(listener, peer), self._listener]
        return ResolvedConnection(
            smtp_extensions=self._choose("smtp_extensions", chain), ehlo_discard=self._choose("ehlo_discard", chain)
        )

    def _scopes(self, listener: str, peer: str) -> list[_Scope]:
        """Those that the two addresses decide, the most specific one first."""
        listen, inner = self._listens.get(listener) or self._listens.get(_normal(listener), _NO_LISTEN)
        client = parse_client(peer)
        return [*inner.matches(client), *((listen,) if listen else ()), *self._peers.matches(client)]

    @property
    def listeners(self) -> list[str]:
        """The configured listen addresses, in their order."""
        return list(self._listens)

    def find_listener(self, address: str) -> str | None:
        """The configured spelling of a listen address, None when it is not configured."""
        return next((found for found in (address, _normal(address)) if found in self._listens), None)

    def _resolve(self, scopes: list[_Scope], pathway: str | None) -> ResolvedOptions:
        named = self._pathway(scopes, pathway)
        of_pathway = self._pathway_scopes(named.value)
        chain = [*scopes, *of_pathway, self._listener, self._global]
        options = {name: self._choose(name, chain) for name in fields_of(TrackingOptions)}
        return ResolvedOptions(**options, pathway=named, relay=self._relay(of_pathway))

    def _pathway(self, scopes: list[_Scope], pathway: str | None) -> Sourced[str | None]:
        if pathway is not None:
            return Sourced(pathway, "context pathway")
        for scope in (*scopes, self._listener):
            if scope.pathway is not None:
                return Sourced(scope.pathway, self._source(scope, "pathway"))
        return Sourced(None, DEFAULT)

    def _relay(self, scopes: list[_Scope]) -> Sourced[str | None]:
        for scope in scopes:
            relay = getattr(scope.options, "relay", None)
            if relay is not None:
                return Sourced(relay, self._source(scope, "relay"))
        return _UNSET

    def _pathway_scopes(self, name: str | None) -> list[_Scope]:
        settings = self._configuration.settings
        pathway = settings.pathway.get(name) if name is not None else None
        if pathway is None:
            return []
        scopes = [_Scope(f"pathway {name}", ("pathway", str(name)), pathway)]
        if pathway.group is not None and (group := settings.pathway_group.get(pathway.group)) is not None:
            scopes.append(_Scope(f"pathway_group {pathway.group}", ("pathway_group", pathway.group), group))
        return scopes

    def _choose(self, option: str, chain: list[_Scope]) -> Sourced[Any]:
        for scope in chain:
            value = getattr(scope.options, option)
            if value is not None:
                return Sourced(value, self._source(scope, option))
        marker = fields_of(ConnectionOptions)[option].marker
        return Sourced(marker.final if isinstance(marker, Setting) else None, DEFAULT)

    def _source(self, scope: _Scope, option: str) -> str:
        return f"{scope.name}, {self._configuration.source(*scope.path, option)}"


_NO_LISTEN: tuple[_Scope | None, NetworkTable[_Scope]] = (None, NetworkTable())


def _peer_table(peers: Mapping[str, Peer], path: tuple[str, ...], where: str) -> NetworkTable[_Scope]:
    return NetworkTable(
        (parse_network(network), _Scope(f"peer {network}{where}", (*path, "peer", network), peer))
        for network, peer in peers.items()
    )


def _normal(address: str) -> str:
    try:
        return normal_listen_address(address)
    except ValueError:
        return address
