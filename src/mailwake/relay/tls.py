"""The TLS context for the smart host."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mailwake.errors import StartupError

if TYPE_CHECKING:
    from mailwake.relay.settings import RelaySettings


def client_context(settings: RelaySettings) -> ssl.SSLContext | None:
    """A context with TLS 1.2 or later for this policy, None for "none"; StartupError if `ca_file` cannot be used.

    Without "verify" any certificate will do (RFC 7435): a stranger in the path could as well have hidden STARTTLS.
    """
    if settings.tls == "none":
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise StartupError(f"TLS to the next hop: cannot use {settings.ca_file}: {error}; name a PEM file") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls != "verify":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
