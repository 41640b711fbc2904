"""What a configuration allows and its operator hardly means: not wrong, but worth a line at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mailwake.config.kinds import UNIX_PREFIX
from mailwake.config.networks import parse_client
from mailwake.service.tracker_parts import certificate_files
from mailwake.transport.tls import certificate_cautions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mailwake.config.schema import Settings
    from mailwake.config.scope_settings import Listen
    from mailwake.config.tracker_settings import TrackerListen

WIDE_PREFIX = 8
"""A network with a shorter prefix holds more than any one organisation has."""


def cautions(settings: Settings, now: datetime) -> Iterator[str]:
    """One line for each doubtful thing; the configuration is known to be usable. `now` has a time zone."""
    yield from _of_tracker(settings, now)
    for address in settings.api.listen:
        if _reached_from_elsewhere(address):
            yield f"api.listen: {address} is in clear, so that keys can be read on the way: have a proxy with TLS there"
    url = urlsplit(settings.store.url or "")
    if url.scheme == "http" and _is_elsewhere(url.hostname or ""):
        yield f"store.url: {settings.store.url} is in clear, so that events can be read on the way: use https"
    listener = settings.esmtp_listener
    if listener.tls_certificate is not None:
        yield from certificate_cautions(listener.tls_certificate, now)
    for network in listener.relay_networks:
        if network.prefixlen < WIDE_PREFIX:
            yield f"esmtp_listener.relay_networks: {network} is very wide; everybody in it may relay without AUTH"
    for address, listen in listener.listen.items():
        yield from _useless("esmtp_listener.listen", address, listen)
    if settings.accounts and listener.auth_requires_tls != "no" and listener.tls_certificate is None:
        for address in listener.listen:
            if _reached_from_elsewhere(address):
                yield (
                    f"esmtp_listener.listen: accounts can log in at {address} from this machine only, as there is no "
                    'TLS; set tls_certificate, or auth_requires_tls = "no"'
                )


def _of_tracker(settings: Settings, now: datetime) -> Iterator[str]:
    listens = settings.tracker.listen
    for address, listen in listens.items():
        yield from _useless("tracker.listen", address, listen)
    files = certificate_files(settings).values()
    if any(listen.tls == "on" for listen in listens.values()):
        for each in files:
            yield from certificate_cautions(each.certificate, now)
    else:
        for each in files:
            yield f'{each.table}.tls_certificate: does nothing, as no address of tracker.listen has tls = "on"'


def _useless(table: str, address: str, listen: Listen | TrackerListen) -> Iterator[str]:
    for name in ("socket_mode", "socket_group"):
        if getattr(listen, name) is not None and not address.startswith(UNIX_PREFIX):
            yield f'{table}."{address}".{name}: is for Unix sockets only and does nothing here'


def _reached_from_elsewhere(address: str) -> bool:
    if address.startswith(UNIX_PREFIX):
        return False
    return _is_elsewhere(address.rpartition(":")[0].strip("[]"))


def _is_elsewhere(host: str) -> bool:
    found = parse_client(host)
    return not (host == "localhost" or (found is not None and found.is_loopback))
