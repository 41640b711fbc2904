"""The TLS context for STARTTLS, from the operator's certificate and key files."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mailwake.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context with TLS 1.2 or later (RFC 8996, RFC 9325); StartupError names the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    for path in (certificate, key):
        try:
            path.open("rb").close()
        except OSError as error:
            raise StartupError(f"TLS: cannot read {path}: {error.strerror}; name a PEM file that exists") from None
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise StartupError(
            f"TLS: {certificate} and {key} are no matching PEM certificate chain and key ({error}); check both"
        ) from None
    return context
