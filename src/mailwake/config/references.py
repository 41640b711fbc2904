"""What must hold between settings: references that lead somewhere, pairs that go together."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mailwake.config.kinds import UNIX_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mailwake.config.schema import Keys, Relay, Settings
    from mailwake.config.scope_settings import EsmtpListener, Peer
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
    yield from _relay_problems(settings.relay)
    yield from _key_problems(settings.keys)


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
        unix = address.startswith(UNIX_PREFIX)
        if listen.proxy_protocol == "required" and not listen.proxy_networks and not unix:
            yield (
                ("esmtp_listener", "listen", address, "proxy_protocol"),
                'is "required", but nobody may connect without proxy_networks; name the load balancers there',
            )


def _relay_problems(relay: Relay) -> Iterable[Problem]:
    if relay.password is not None and relay.password_file is not None:
        yield ("relay", "password_file"), "and password are both set; remove one"
    if relay.username is not None and relay.password is None and relay.password_file is None:
        yield ("relay", "username"), "is set without a password; set password or password_file"
    if relay.username is None and (relay.password is not None or relay.password_file is not None):
        yield (
            ("relay", "password" if relay.password is not None else "password_file"),
            "is set without username; set it",
        )
    if relay.next_hop is not None and relay.next_hop.rpartition(":")[0] == "":
        yield ("relay", "next_hop"), "has no host; give HOST:PORT"
    if relay.next_hop is not None and relay.next_hop.endswith(":0"):
        yield ("relay", "next_hop"), "has port 0, to which nothing can connect; give HOST:PORT"


def _key_problems(keys: Keys) -> Iterable[Problem]:
    ids = [key.id for key in keys.secrets]
    for number, count in Counter(ids).items():
        if count > 1:
            yield ("keys", "secrets", str(len(ids) - 1 - ids[::-1].index(number)), "id"), f"{number} is used twice"
    if keys.current is not None and keys.current not in ids:
        yield ("keys", "current"), f"there is no key {keys.current} in [[keys.secrets]]; add it, or name another"
