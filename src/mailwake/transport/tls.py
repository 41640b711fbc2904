"""The TLS context of a server, from the operator's PEM files, and what is wrong with those files."""

from __future__ import annotations

import hashlib
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from cryptography import x509

from mailwake.errors import StartupError

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime
    from pathlib import Path

MODERN_CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for signature in ("ECDSA", "RSA")
)
"""For TLS 1.2: a new key for every connection and authenticated encryption only (Mozilla's intermediate list without
DHE, which needs parameters and which no client needs that has TLS 1.2). TLS 1.3 has no others anyway."""

EXPIRES_SOON = timedelta(days=14)
"""How long before its end an operator is told of a certificate; those of Let's Encrypt are renewed 30 days before."""


def server_context(
    certificate: Path,
    key: Path,
    *,
    minimum_version: Literal["1.2", "1.3"] = "1.2",
    client_ca: Path | None = None,
    table: str = "esmtp_listener",
) -> ssl.SSLContext:
    """A server context with TLS 1.2 or later (RFC 8996, RFC 9325); StartupError names the file that cannot be used.

    `client_ca` are the authorities whose certificates clients are asked for. One that does not verify ends the
    handshake; a client that has none may go on. `table` is where the settings of the files stand.
    """
    context = modern_context(minimum_version)
    _load_chain(context, certificate, key, table)
    if client_ca is not None:
        _load_authorities(context, client_ca, table)
    return context


def modern_context(minimum_version: Literal["1.2", "1.3"]) -> ssl.SSLContext:
    """A server context without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if minimum_version == "1.3" else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(MODERN_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # all are good: the client knows what its machine does fast
    return context


def _load_chain(context: ssl.SSLContext, certificate: Path, key: Path, table: str) -> None:
    for setting, path in (("tls_certificate", certificate), ("tls_key", key)):
        _read(path, f"{table}.{setting}")
    try:
        context.load_cert_chain(certificate, key, password="")  # without any, OpenSSL would ask at the terminal
    except (ssl.SSLError, ValueError) as error:
        raise StartupError(f"{table}.tls_certificate: {_explain(error, certificate, key)}") from None


def _explain(error: Exception, certificate: Path, key: Path) -> str:
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return f"the key in {key} is not that of the first certificate in {certificate}; name the two that belong"
    if "ENCRYPTED" in key.read_text(errors="replace"):
        return f"the key in {key} is encrypted; mailwake starts unattended and needs one without a passphrase"
    if certificate == key:
        return (
            f"{certificate} does not hold both a PEM certificate chain and its key; name the file of the key as tls_key"
        )
    detail = f" ({reason})" if reason else ""
    return f"{certificate} and {key} are no matching PEM certificate chain and key{detail}; check both"


def _load_authorities(context: ssl.SSLContext, client_ca: Path, table: str) -> None:
    _read(client_ca, f"{table}.tls_client_ca")
    try:
        context.load_verify_locations(client_ca)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise StartupError(
            f"{table}.tls_client_ca: {client_ca} holds no PEM certificates ({reason}); name a file that does"
        ) from None
    context.verify_mode = ssl.CERT_OPTIONAL


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(
            f"{setting}: cannot read {path}: {error.strerror}; name a PEM file that mailwake's user can read"
        ) from None


def certificate_cautions(certificate: Path, now: datetime) -> list[str]:
    """What clients will not like about a certificate that can be used, or soon will not, a line each.

    `now` has a time zone.
    """
    try:
        first = x509.load_pem_x509_certificate(_read(certificate, "tls_certificate"))
    except ValueError:
        return []  # OpenSSL, which took it, knows best
    since, until = first.not_valid_before_utc, first.not_valid_after_utc
    if until < now:
        return [f"TLS: the certificate in {certificate} has expired, on {until:%Y-%m-%d at %H:%M} UTC; renew it"]
    if since > now:
        return [f"TLS: the certificate in {certificate} is not valid before {since:%Y-%m-%d %H:%M} UTC"]
    if until < now + EXPIRES_SOON and until - since > 2 * EXPIRES_SOON:  # one for a few days is meant to be short
        return [f"TLS: the certificate in {certificate} expires on {until:%Y-%m-%d at %H:%M} UTC; renew it"]
    return []


def client_fingerprint(transport: asyncio.BaseTransport) -> str:
    """The SHA-256 fingerprint of the certificate that the client presented and OpenSSL verified; "" without one."""
    connection = transport.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) if connection is not None else None
    return hashlib.sha256(certificate).hexdigest() if certificate else ""
