"""What a configuration allows and its operator hardly means: not wrong, but worth a line at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.networks import parse_client
from mailwake.listener.tls import certificate_cautions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mailwake.config.schema import Settings
    from mailwake.config.scope_settings import EsmtpListener

WIDE_PREFIX = 8
"""A network with a shorter prefix holds more than any one organisation has."""


def cautions(settings: Settings, now: datetime) -> Iterator[str]:
    """One line for each doubtful thing; the configuration is known to be usable. `now` has a time zone."""
    listener = settings.esmtp_listener
    if listener.tls_certificate is not None:
        yield from certificate_cautions(listener.tls_certificate, now)
    for network in listener.relay_networks:
        if network.prefixlen < WIDE_PREFIX:
            yield f"esmtp_listener.relay_networks: {network} is very wide; everybody in it may relay without AUTH"
    if settings.accounts and listener.auth_requires_tls != "no" and listener.tls_certificate is None:
        for address in listener.listen:
            if _reached_from_elsewhere(address, listener):
                yield (
                    f"esmtp_listener.listen: accounts can log in at {address} from this machine only, as there is no "
                    'TLS; set tls_certificate, or auth_requires_tls = "no"'
                )


def _reached_from_elsewhere(address: str, listener: EsmtpListener) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    found = parse_client(host)
    return not (host == "localhost" or (found is not None and found.is_loopback))
