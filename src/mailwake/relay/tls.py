"""The TLS context for a next hop."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mailwake.errors import StartupError

if TYPE_CHECKING:
    from mailwake.relay.settings import RelaySettings

_MODERN_CIPHERS = ":".join(
    f"{exchange}-{cipher}"
    for exchange in ("ECDHE-ECDSA", "ECDHE-RSA", "DHE-RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
)
"""Mozilla's intermediate list for TLS 1.2: forward secrecy and authenticated encryption. TLS 1.3 has nothing else."""

_ANY_CIPHERS = "DEFAULT:@SECLEVEL=0"
"""Where the alternative is clear text, an old cipher and a short key are better than none (RFC 7435 §3)."""


def client_context(settings: RelaySettings) -> ssl.SSLContext | None:
    """A context with TLS 1.2 or later for this policy, None where TLS is not used; StartupError if it cannot be made.

    Without "verify" any certificate will do (RFC 7435): a stranger in the path could as well have hidden STARTTLS.
    """
    _check(settings)
    if settings.tls == "none" or (settings.unix_path and settings.tls == "may" and not settings.implicit_tls):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise StartupError(
            f"next hop {settings.address}: tls_ca_file: cannot use {settings.ca_file}: {_reason(error)}; "
            "name a PEM file"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    opportunistic = settings.tls == "may" and not settings.implicit_tls
    context.set_ciphers(_ANY_CIPHERS if opportunistic else _MODERN_CIPHERS)
    if settings.tls != "verify":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.tls_certificate:
        _show(context, settings)
    return context


def handshake_trouble(error: OSError) -> str:
    """Why a handshake failed, without OpenSSL's codes, and with what to do where that is known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}; see tls_ca_file and tls_name"
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "the next hop answered in the clear; where it begins with STARTTLS, leave implicit_tls out"
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error) or type(error).__name__


def _check(settings: RelaySettings) -> None:
    address = settings.address
    if settings.implicit_tls and settings.tls == "none":
        raise StartupError(f"next hop {address}: implicit TLS and tls = none contradict each other; leave one out")
    if settings.tls == "verify" and not settings.certificate_name:
        raise StartupError(f"next hop {address}: tls = verify needs the name in its certificate; set tls_name")
    if settings.tls_key and not settings.tls_certificate:
        raise StartupError(f"next hop {address}: tls_key without tls_certificate; name the certificate as well")


def _show(context: ssl.SSLContext, settings: RelaySettings) -> None:
    """Have a certificate ready for a hop that asks for one."""
    certificate, key = settings.tls_certificate, settings.tls_key or settings.tls_certificate
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise StartupError(
            f"next hop {settings.address}: tls_certificate: cannot use {certificate} with {key}: {_reason(error)}; "
            "name a PEM certificate and its key"
        ) from None


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)


def _no_password() -> str:
    raise ValueError("the key has a password")  # without this, OpenSSL would ask the terminal for it
