"""Signatures by the Standard Webhooks convention: whoever has the secret knows who sent a body, and when."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRET_PREFIX = "whsec_"  # noqa: S105  # how secrets begin, not one of them
_DRAWN_OCTETS = 32
_OCTETS = range(24, 65)  # what the convention allows


def new_secret() -> str:
    """A new secret, as receivers' libraries take it."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(_DRAWN_OCTETS)).decode()


def is_secret(text: str) -> bool:
    """Whether it is `whsec_` and 24 to 64 octets in base64."""
    try:
        return text.startswith(SECRET_PREFIX) and len(_key(text)) in _OCTETS
    except (binascii.Error, ValueError):
        return False


def signature_headers(message_id: str, seconds: int, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` and `webhook-signature` over the body as its receiver decodes it.

    With several secrets there are several signatures: the receiver takes a body with any of them, so that it can
    change its secret when it likes.
    """
    signed = b"%s.%d." % (message_id.encode(), seconds) + body
    signatures = [b64encode(hmac.digest(_key(key), signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(secret: str) -> bytes:
    return b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
