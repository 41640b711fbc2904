"""What must hold between settings: references that lead somewhere, pairs that go together."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mailwake.config.dashboard_settings import dashboard_problems
from mailwake.config.relay_settings import DEFAULT_ROUTE, hop_option
from mailwake.config.sink_settings import sink_problems
from mailwake.config.store_settings import store_problems
from mailwake.config.toml_lines import join_name
from mailwake.config.tracker_references import proxy_problems, tracker_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mailwake.config.relay_settings import HopOptions, Relay
    from mailwake.config.schema import Keys, Settings
    from mailwake.config.scope_settings import EsmtpListener, Peer
    from mailwake.config.sink_settings import Sink
    from mailwake.config.store_settings import Store
    from mailwake.config.toml_lines import Path

Problem = tuple["Path", str]
"""The path of a setting, and what is wrong with it."""


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Everything in `settings` that is well-formed by itself but cannot be meant."""
    for path, pathway in _named_pathways(settings.esmtp_listener):
        if pathway is not None and pathway not in settings.pathway:
            yield path, _missing(f"pathway.{pathway}", pathway, settings.pathway)
    for name, pathway_options in settings.pathway.items():
        group = pathway_options.group
        if group is not None and group not in settings.pathway_group:
            yield ("pathway", name, "group"), _missing(f"pathway_group.{group}", group, settings.pathway_group)
    yield from _account_problems(settings)
    yield from _listener_problems(settings.esmtp_listener)
    yield from tracker_problems(settings)
    yield from _route_problems(settings)
    yield from _key_problems(settings.keys)
    yield from dashboard_problems(settings.dashboard, settings.api)
    yield from store_problems(settings.store)
    yield from _login_problems(("store",), settings.store)
    yield from sink_problems(settings.sinks)
    for name, sink in settings.sinks.items():
        yield from _login_problems(("sinks", name), sink)


def _missing(table: str, name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, 1)
    return f"there is no [{table}]" + (f"; did you mean '{near[0]}'?" if near else "; add it, or name another")


def _named_pathways(listener: EsmtpListener) -> Iterator[tuple[Path, str | None]]:
    yield ("esmtp_listener", "pathway"), listener.pathway
    yield from _peer_pathways(("esmtp_listener",), listener.peer)
    for address, listen in listener.listen.items():
        path = ("esmtp_listener", "listen", address)
        yield (*path, "pathway"), listen.pathway
        yield from _peer_pathways(path, listen.peer)


def _peer_pathways(path: Path, peers: Mapping[str, Peer]) -> Iterator[tuple[Path, str | None]]:
    for network, peer in peers.items():
        yield (*path, "peer", network, "pathway"), peer.pathway


def _account_problems(settings: Settings) -> Iterable[Problem]:
    owners: dict[str, str] = {}
    for name, account in settings.accounts.items():
        if account.password is None and not account.certificates:
            yield ("accounts", name), "has neither password nor certificates; `mailwake account hash` makes a password"
        if account.certificates and settings.esmtp_listener.tls_client_certificates == "off":
            yield (
                ("accounts", name, "certificates"),
                "is set, but no client is asked for one; set esmtp_listener.tls_client_certificates",
            )
        for fingerprint in account.certificates:
            if owners.setdefault(fingerprint, name) != name:
                yield ("accounts", name, "certificates"), f"{fingerprint} is also that of {owners[fingerprint]}"


def _listener_problems(listener: EsmtpListener) -> Iterable[Problem]:
    if listener.tls_key is not None and listener.tls_certificate is None:
        yield ("esmtp_listener", "tls_key"), "is set without tls_certificate; set both or neither"
    if listener.auth_requires_tls == "yes" and listener.tls_certificate is None:
        yield ("esmtp_listener", "auth_requires_tls"), 'is "yes", but there is no TLS without tls_certificate; set it'
    if listener.tls_client_certificates != "off":
        asks = f'is "{listener.tls_client_certificates}", but'
        for name in ("tls_certificate", "tls_client_ca"):
            if getattr(listener, name) is None:
                yield ("esmtp_listener", "tls_client_certificates"), f"{asks} {name} is not set; set it"
    for network in listener.relay_networks:
        if network.prefixlen == 0:
            yield (
                ("esmtp_listener", "relay_networks"),
                f"{network} is everybody, which makes an open relay; name the networks that may send",
            )
    for address, listen in listener.listen.items():
        if listen.tls == "implicit" and listener.tls_certificate is None:
            yield (
                ("esmtp_listener", "listen", address, "tls"),
                'is "implicit", but there is no TLS without esmtp_listener.tls_certificate; set it',
            )
        if listen.protocol == "lmtp" and address.rpartition(":")[2] == "25":
            yield (
                ("esmtp_listener", "listen", address, "protocol"),
                'is "lmtp", which must not be spoken on port 25 (RFC 2033 §5); choose another port, for example 24',
            )
        yield from proxy_problems(("esmtp_listener", "listen", address), listen)


def _relay_problems(path: Path, relay: Relay) -> Iterator[Problem]:
    yield from _login_problems(path, relay)
    yield from _tls_problems(path, relay)
    if relay.next_hop is not None:
        yield from _address_problems((*path, "next_hop"), relay.next_hop)
        if relay.hop:
            yield (*path, "next_hop"), f"and [[{join_name((*path, 'hop'))}]] are both set; remove one"
    first: dict[str, int] = {}
    for number, hop in enumerate(relay.hop):
        at = (*path, "hop", str(number))
        yield from _login_problems(at, hop)
        yield from _tls_problems(at, hop, relay)
        yield from _address_problems((*at, "address"), hop.address)
        if first.setdefault(hop.address, number) != number:
            yield (*at, "address"), f'"{hop.address}" is a hop of this route already; give each one once'


def _login_problems(path: Path, options: HopOptions | Sink | Store) -> Iterator[Problem]:
    if options.password is not None and options.password_file is not None:
        yield (*path, "password_file"), "and password are both set; remove one"
    if options.username is not None and options.password is None and options.password_file is None:
        yield (*path, "username"), "is set without a password; set password or password_file"
    if options.username is None and (options.password is not None or options.password_file is not None):
        yield (
            (*path, "password" if options.password is not None else "password_file"),
            "is set without username; set it",
        )


def _tls_problems(path: Path, *tables: HopOptions) -> Iterator[Problem]:
    if hop_option("implicit_tls", *tables) and hop_option("tls", *tables) == "none":
        yield (*path, "implicit_tls"), 'is set although tls is "none"; remove one'
    if tables[0].tls_key is not None and hop_option("tls_certificate", *tables) is None:
        yield (*path, "tls_key"), "is set without tls_certificate; set both or neither"


def _address_problems(path: Path, address: str) -> Iterator[Problem]:
    if address.startswith("unix:"):
        return
    if address.rpartition(":")[0] == "":
        yield path, "has no host; give HOST:PORT"
    if address.endswith(":0"):
        yield path, "has port 0, to which nothing can connect; give HOST:PORT"


def _route_problems(settings: Settings) -> Iterator[Problem]:
    yield from _relay_problems(("relay",), settings.relay)
    for name, relay in settings.relays.items():
        path = ("relays", name)
        yield from _relay_problems(path, relay)
        if name == DEFAULT_ROUTE:
            yield path, f'is the name of [relay] itself; write [relay], or name it otherwise than "{DEFAULT_ROUTE}"'
        elif not relay.hops:
            yield path, f"has no next hop; set next_hop, or add [[{join_name((*path, 'hop'))}]]"
    known = {**settings.relays, DEFAULT_ROUTE: settings.relay}
    for table in ("pathway", "pathway_group", "customers"):
        for name, named in getattr(settings, table).items():
            if named.relay is not None and named.relay not in known:
                yield (table, name, "relay"), _missing(join_name(("relays", named.relay)), named.relay, known)


def _key_problems(keys: Keys) -> Iterable[Problem]:
    ids = [key.id for key in keys.secrets]
    for number, count in Counter(ids).items():
        if count > 1:
            yield ("keys", "secrets", str(len(ids) - 1 - ids[::-1].index(number)), "id"), f"{number} is used twice"
    if keys.current is not None and keys.current not in ids:
        yield ("keys", "current"), f"there is no key {keys.current} in [[keys.secrets]]; add it, or name another"
