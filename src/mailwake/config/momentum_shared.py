"""What Momentum sets scope by scope and mailwake once for all of SMTP: who may send without AUTH, and the certificate.

A value is taken over where it means the same here: in the listener, and in the listen scope when there is only one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.config.kinds import list_of, network, show_text
from mailwake.config.momentum_values import NotConverted, file_path, is_true, relay_network, relay_networks, shown
from mailwake.config.networks import parse_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.config.momentum_files import Given, Place
    from mailwake.config.momentum_report import ImportReport, TomlDraft
    from mailwake.config.networks import IPNetwork
    from mailwake.config.toml_lines import Path

LISTENER = ("esmtp_listener",)
SHARED = frozenset({"relay_hosts", "open_relay", "tls_certificate", "tls_key"})
"""The options that come here."""

_ONE_LIST = "mailwake has one list for all addresses; add to esmtp_listener.relay_networks what may send everywhere"
_NEVER_OPEN = "mailwake is never an open relay; name the networks that may send in esmtp_listener.relay_networks"
_NO_EXCEPTIONS = "relay_networks knows no exceptions; leave the network out there"
_ONE_CERTIFICATE = "mailwake has one certificate for all addresses; set esmtp_listener.tls_certificate to the one meant"
_OUTBOUND = "at the top it is about delivery; set esmtp_listener.{} if STARTTLS for senders uses it too"


class Shared(NamedTuple):
    """One of the SHARED options, and the table in which it would stand."""

    path: Path
    given: Given


def convert_shared(found: Sequence[Shared], listens: Sequence[Path], draft: TomlDraft, report: ImportReport) -> None:
    """Put relay networks and certificate into the listener's table; `listens` are the tables of the addresses."""
    sole = listens[0] if len(listens) == 1 else None
    by_name: dict[str, list[Shared]] = {}
    # The sole listen scope counts before the listener, and that before the top.
    for each in sorted(found, key=lambda each: len(each.path), reverse=True):
        path = LISTENER + each.path[3:] if sole is not None and each.path[:3] == sole else each.path
        by_name.setdefault(each.given.name.lower(), []).append(Shared(path, each.given))
    _convert_relaying(by_name.get("relay_hosts", []), by_name.get("open_relay", []), draft, report)
    _convert_tls(by_name.get("tls_certificate", []), by_name.get("tls_key", []), listens, draft, report)


def _convert_relaying(hosts: list[Shared], open_relays: list[Shared], draft: TomlDraft, report: ImportReport) -> None:
    allowed: dict[IPNetwork, Place] = {}
    chosen = next((each for each in hosts if each.path == LISTENER), None) or next(
        (each for each in hosts if not each.path), None
    )
    for each in hosts:
        if each is chosen:
            _allow(each, allowed, report)
        elif each.path not in (LISTENER, ()):
            report.leave(each.given.place, f"{each.given.name} = {shown(each.given.value)}", _ONE_LIST)
    for each in open_relays:
        _convert_open_relay(each, allowed, report)
    if chosen is not None or allowed:
        places = [chosen.given.place] if chosen is not None else []
        shown_networks = list_of(network()).show(list(allowed))
        draft.put(LISTENER, "relay_networks", shown_networks, *places, *allowed.values())


def _allow(each: Shared, allowed: dict[IPNetwork, Place], report: ImportReport) -> None:
    given = each.given
    try:
        for text in relay_networks(given.value):
            try:
                allowed.setdefault(relay_network(text), given.place)
            except NotConverted as reason:
                report.leave(given.place, f"{given.name}: {text}", str(reason))
    except NotConverted as reason:
        report.leave(given.place, given.name, str(reason))


def _convert_open_relay(each: Shared, allowed: dict[IPNetwork, Place], report: ImportReport) -> None:
    given, scope = each.given, each.path[1:]
    peer = each.path[:2] == (*LISTENER, "peer")
    if not is_true(given):
        if scope[-2:-1] == ("peer",):
            report.leave(given.place, f"{given.name} = {shown(given.value)}", _NO_EXCEPTIONS)
    elif peer and parse_network(each.path[2]).prefixlen:
        allowed.setdefault(parse_network(each.path[2]), given.place)
    elif scope[-2:-1] == ("peer",) and not peer:
        report.leave(given.place, f"{given.name} in Peer {each.path[-1]}", _ONE_LIST)
    else:
        report.leave(given.place, f"{given.name} = {shown(given.value)}", _NEVER_OPEN)


def _convert_tls(
    certificates: list[Shared], keys: list[Shared], listens: Sequence[Path], draft: TomlDraft, report: ImportReport
) -> None:
    pairs: list[tuple[Given, Given | None]] = []
    for scope in (*listens, LISTENER):
        certificate, key = _first(certificates, scope), _first(keys, scope)
        if certificate is not None:
            pairs.append((certificate, key))
    taken: tuple[Given, Given | None] | None = pairs[0] if pairs else None
    used = set()
    if taken is not None:
        used = {id(given) for pair in pairs if _same(pair, taken) for given in pair}
        _put_tls(taken, draft, report)
    for each in (*certificates, *keys):
        if id(each.given) not in used:
            advice = _ONE_CERTIFICATE if each.path else _OUTBOUND.format(each.given.name.lower())
            report.leave(each.given.place, f"{each.given.name} = {shown(each.given.value)}", advice)


def _first(found: list[Shared], scope: Path) -> Given | None:
    """The value that applies in a scope: its own, or the listener's."""
    return next((each.given for each in found if each.path in (scope, LISTENER)), None)


def _same(one: tuple[Given, Given | None], other: tuple[Given, Given | None]) -> bool:
    return [given and given.value for given in one] == [given and given.value for given in other]


def _put_tls(pair: tuple[Given, Given | None], draft: TomlDraft, report: ImportReport) -> None:
    for name, given in zip(("tls_certificate", "tls_key"), pair, strict=True):
        if given is None:
            continue
        try:
            draft.put(LISTENER, name, show_text(file_path(given.value)), given.place)
        except NotConverted as reason:
            report.leave(given.place, given.name, str(reason))
            return  # a key without its certificate is no use
